//! `gantry apply`: files say what is there; what they do not say stays, unless it was made so and `--prune` is given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use tempfile::TempDir;

use super::{LOGIN, SERVER, create_user, is_recorded};
use crate::harness::{ADMIN_PASSWORD, Server, fresh, image};

/// A folder of files, and the server to which they are applied.
struct Files<'s> {
    server: &'s Server,
    folder: TempDir,
}

impl<'s> Files<'s> {
    fn of(server: &'s Server) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { server, folder }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("the file can be written");
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().expect("the path is text")
    }

    /// Runs `gantry apply`.
    async fn run(&self, options: &[&str]) -> Output {
        let arguments = [&["apply", "-f", self.path()][..], options].concat();
        self.server.cli_as_server(&arguments).await
    }

    /// Runs `gantry apply`, which ends with a code: what it printed, and its errors.
    async fn apply(&self, options: &[&str], code: i32) -> (String, String) {
        let output = self.run(options).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{options:?}: {out}{err}");
        (out, err)
    }

    /// Asserts that nothing differs.
    async fn are_true(&self, options: &[&str]) {
        let (out, _) = self.apply(&[&["--dry-run"][..], options].concat(), 0).await;
        assert_eq!(out, "");
    }
}

/// A project with something of each kind that belongs to one.
fn team(project: &str, user: &str, (public, role, color): (bool, &str, &str)) -> String {
    format!(
        "kind: project
name: {project}
public: {public}
quota: 1GiB
metadata: {{ auto_scan: true }}
---
kind: member
project: {project}
user: {user}
role: {role}
---
kind: label
project: {project}
name: stable
color: '{color}'
---
kind: robot
project: {project}
name: ci
days: -1
allow: [repository:push, repository:pull]
---
kind: immutable-rule
project: {project}
tags: v*
---
kind: retention
project: {project}
schedule: 0 0 3 * * *
rules: [{{ keep: latestPushedK=10 }}]
"
    )
}

#[tokio::test]
async fn what_files_say_is_made_once_and_what_changes_is_shown_and_changed() {
    let server = SERVER.get().await;
    let (project, user) = (fresh("gitops"), fresh("gitops"));
    create_user(&server, &user, &[]).await;
    let files = Files::of(&server);
    files.write(
        "team.yaml",
        &team(&project, &user, (true, "developer", "#00FF00")),
    );
    files.write("notes.txt", "kind: nothing");

    let (shown, _) = files.apply(&["--dry-run"], 2).await;
    let expected = [
        format!("+ project {project}"),
        format!("+ member user {user} of project {project}"),
        format!("+ label stable of project {project}"),
        format!("+ robot ci of project {project}"),
        format!("+ immutable-rule repositories ** tags v* of project {project}"),
        format!("+ retention of project {project}"),
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    let projects = server.cli_prints(&["project", "list"]).await;
    assert!(!projects.contains(&project), "{projects}");

    let (made, _) = files.apply(&[], 0).await;
    assert!(made.starts_with(&shown), "{made}");
    let robot = format!("robot${project}+ci");
    let secret = made.lines().find_map(|line| {
        let rest = line.strip_prefix("secret of ")?;
        rest.strip_prefix(&robot)?.strip_prefix(": ")
    });
    let secret = secret.expect("the secret is printed once");
    let client = server.as_user_with(&robot, secret);
    client.get(LOGIN).await.expect(200);
    assert!(is_recorded(&server, "create", "project", &project).await);

    files.are_true(&[]).await;
    let (again, _) = files.apply(&[], 0).await;
    assert_eq!(again, "");
    let log = server.cli_prints(&["audit", "export"]).await;
    assert!(!log.contains(secret));

    files.write(
        "team.yaml",
        &team(&project, &user, (false, "guest", "#FF0000")),
    );
    let (shown, _) = files.apply(&["--dry-run"], 2).await;
    let expected = [
        format!("~ project {project}: public: true → false"),
        format!("~ member user {user} of project {project}: role: developer → guest"),
        format!("~ label stable of project {project}: color: #00FF00 → #FF0000"),
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    let (changed, _) = files.apply(&[], 0).await;
    assert_eq!(changed, shown);
    files.are_true(&[]).await;
    let members = server.cli_prints(&["member", "list", &project]).await;
    assert!(members.contains(&format!("guest user {user}")), "{members}");
}

#[tokio::test]
async fn a_secret_goes_into_a_new_file_of_its_own() {
    let server = SERVER.get().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let text = format!(
        "kind: project\nname: {project}\n---\nkind: robot\nproject: {project}\nname: ci\nallow: [repository:pull]\nsecret_file: ci.secret\n"
    );
    files.write("team.yml", &text);
    files.write("ci.secret", "mine");
    for options in [&["--dry-run"][..], &[]] {
        let (_, refused) = files.apply(options, 1).await;
        assert!(refused.contains("it must not exist yet"), "{refused}");
    }
    let projects = server.cli_prints(&["project", "list"]).await;
    assert!(!projects.contains(&project), "{projects}");

    let path = files.folder.path().join("ci.secret");
    fs::remove_file(&path).expect("the file can be removed");
    let (made, _) = files.apply(&[], 0).await;
    let secret = fs::read_to_string(&path).expect("the file is there");
    assert!(!made.contains(&secret), "{made}");
    let mode = fs::metadata(&path).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let client = server.as_user_with(&format!("robot${project}+ci"), &secret);
    client.get(LOGIN).await.expect(200);
}

#[tokio::test]
async fn pruning_removes_what_was_made_so_and_nothing_else() {
    let server = Server::start().await;
    let (project, rest) = (fresh("gitops"), fresh("gitops"));
    let files = Files::of(&server);
    let named = |kind: &str, name: &str, more: &str| {
        format!("kind: {kind}\nproject: {project}\nname: {name}\n{more}---\n")
    };
    let allow = "allow: [repository:pull]\n";
    let all = [
        format!("kind: project\nname: {project}\n---\n"),
        named("label", "kept", ""),
        named("label", "dropped", ""),
        named("robot", "again", allow),
        named("robot", "dropped", allow),
    ];
    files.write("all.yaml", &all.concat());
    files.apply(&[], 0).await;
    let again = format!("robot${project}+again");
    for command in [
        &["label", "create", "foreign", "--project", &project][..],
        &["robot", "delete", &again],
        &[
            "robot",
            "create",
            "again",
            "--project",
            &project,
            "--allow",
            "repository:pull",
        ],
    ] {
        server.cli_prints(command).await;
    }

    files.write("all.yaml", &all[..2].concat());
    files.are_true(&[]).await;
    let (shown, _) = files.apply(&["--dry-run", "--prune"], 2).await;
    let expected = [
        format!("- robot dropped of project {project}"),
        format!("- label dropped of project {project}"),
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    files.apply(&["--prune"], 0).await;
    files.are_true(&["--prune"]).await;
    let labels = ["label", "list", "--project", &project];
    let labels = server.cli_prints(&labels).await;
    let robots = ["robot", "list", "--project", &project];
    let robots = server.cli_prints(&robots).await;
    assert!(labels.contains("kept") && labels.contains("foreign"));
    assert!(robots.contains("+again"), "{robots}");
    for listed in [labels, robots] {
        assert!(!listed.contains("dropped"), "{listed}");
    }

    let repository = format!("{project}/app");
    let image = image(&repository);
    let admin = server.admin();
    admin.push_image(&repository, "latest", &image).await;
    files.write("all.yaml", &format!("kind: project\nname: {rest}\n"));
    let (shown, _) = files.apply(&["--prune"], 0).await;
    let stays = format!(
        "+ project {rest}\nproject {project} is not pruned: it holds a repository; what is in it stays too\n"
    );
    assert_eq!(shown, stays);
    let labels = ["label", "list", "--project", &project];
    let labels = server.cli_prints(&labels).await;
    assert!(labels.contains("kept"), "{labels}");
    let deleted = ["repository", "delete", &repository];
    server.cli_prints(&deleted).await;
    files.apply(&["--prune"], 0).await;
    let projects = server.cli_prints(&["project", "list"]).await;
    assert!(
        projects.contains(&rest) && !projects.contains(&project),
        "{projects}"
    );
}

#[tokio::test]
async fn bad_files_change_nothing_and_are_all_named() {
    let server = SERVER.get().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let good = format!("kind: project\nname: {project}\n");
    files.write("a.yaml", &good);
    files.write(
        "b.yaml",
        "kind: label\nname: a\n---\nkind: label\nname: b\ncolour: red\n",
    );
    files.write("c.yaml", "kind: project\nname: team\nquota: much\n");
    files.write("d.yaml", &good);
    let (shown, errors) = files.apply(&[], 1).await;
    assert_eq!(shown, "");
    for part in [
        "b.yaml, document 2 (label): unknown field `colour`",
        "c.yaml, document 1 (project): quota: write bytes",
        "d.yaml, document 1: project",
        "is in a.yaml, document 1 already",
    ] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    assert_eq!(errors.lines().count(), 3, "{errors}");
    let projects = server.cli_prints(&["project", "list"]).await;
    assert!(!projects.contains(&project), "{projects}");
}

#[tokio::test]
async fn what_fails_is_named_and_the_rest_goes_on_without_pruning() {
    let server = Server::start().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let own = format!("kind: project\nname: {project}\n");
    let label = format!("kind: label\nproject: {project}\nname: early\n");
    files.write("a.yaml", &own);
    files.write("b.yaml", &label);
    files.apply(&[], 0).await;
    let member = format!("kind: member\nproject: {project}\nuser: no-such-user\nrole: guest\n");
    files.write(
        "b.yaml",
        &format!("{member}---\n{}", label.replace("early", "late")),
    );
    let (_, errors) = files.apply(&["--prune"], 1).await;
    let named = format!("b.yaml, document 1 (member user no-such-user of project {project})");
    assert!(errors.contains(&named), "{errors}");
    assert!(errors.contains("there is no user no-such-user"), "{errors}");
    assert!(errors.contains("nothing is pruned"), "{errors}");
    let labels = ["label", "list", "--project", &project];
    let labels = server.cli_prints(&labels).await;
    assert!(labels.contains("late") && labels.contains("early"));
}

#[tokio::test]
async fn registries_and_policies_get_their_secrets_from_elsewhere() {
    let server = Server::with(&[("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8")]).await;
    let files = Files::of(&server);
    let ca = server.authority_file();
    let registry = format!(
        "kind: registry\nname: mirror\nurl: https://{}\ntype: harbor\naccess_key: admin\nca_file: {}\nsecret_file: secret\n",
        server.host(),
        ca.display(),
    );
    let policy = "kind: replication\nname: out\nto: mirror\nnames: none/**\nnamespace: copies\n";
    files.write("a.yaml", &format!("{policy}---\n{registry}"));
    files.write("secret", &format!("{ADMIN_PASSWORD}\n"));
    let (made, _) = files.apply(&[], 0).await;
    assert_eq!(made, "+ registry mirror\n+ replication out\n");
    files.are_true(&["--prune"]).await;

    let moved = policy.replace("copies", "others");
    files.write("a.yaml", &format!("{moved}---\n{registry}"));
    files.write("secret", "An0therPassword");
    let (shown, errors) = files.apply(&[], 1).await;
    let expected = "~ registry mirror: secret: (hidden) → (hidden)\n~ replication out: namespace: copies → others\n";
    assert_eq!(shown, expected);
    assert!(errors.contains("(registry mirror)"), "{errors}");
    assert!(!errors.contains("An0therPassword"), "{errors}");
    files.write("secret", ADMIN_PASSWORD);
    files.are_true(&[]).await;
    let log = server.cli_prints(&["audit", "export"]).await;
    assert!(!log.contains(ADMIN_PASSWORD) && !log.contains("An0therPassword"));

    files.write("a.yaml", &moved);
    let (shown, _) = files.apply(&["--dry-run", "--prune"], 0).await;
    let stays = "registry mirror is not pruned: files name it in a replication\n";
    assert_eq!(shown, stays);
    let mine = ["replication", "create", "mine", "--to", "mirror"];
    server.cli_prints(&mine).await;
    files.write("a.yaml", "kind: project\nname: library\n");
    let stays = "registry mirror is not pruned: replications use it: mine\n";
    let expected = format!("{stays}- replication out\n");
    for (options, code) in [(&["--dry-run", "--prune"][..], 2), (&["--prune"][..], 0)] {
        let (shown, _) = files.apply(options, code).await;
        assert_eq!(shown, expected);
    }
    let deleted = ["replication", "delete", "mine"];
    server.cli_prints(&deleted).await;
    let (shown, _) = files.apply(&["--prune"], 0).await;
    assert_eq!(shown, "- registry mirror\n");
    files.are_true(&["--prune"]).await;
}

#[tokio::test]
async fn two_at_once_remove_nothing_that_their_files_name() {
    let server = Server::start().await;
    let files = Files::of(&server);
    for _ in 0..5 {
        let project = fresh("gitops");
        let label =
            |number: u32| format!("---\nkind: label\nproject: {project}\nname: l{number}\n");
        let labels: String = (0..20).map(label).collect();
        files.write(
            "a.yaml",
            &format!("kind: project\nname: {project}\n{labels}"),
        );
        // Either may find made what it was about to make, which is an error.
        tokio::join!(files.run(&["--prune"]), files.run(&["--prune"]));
        files.are_true(&[]).await;
    }
}

#[tokio::test]
async fn a_project_that_somebody_restored_is_not_pruned_again() {
    let server = Server::start().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let text = format!(
        "kind: project\nname: {project}\n---\nkind: label\nproject: {project}\nname: early\n"
    );
    files.write("a.yaml", &text);
    files.apply(&[], 0).await;
    files.write("a.yaml", "kind: project\nname: library\n");
    let (shown, _) = files.apply(&["--prune"], 0).await;
    let expected = format!("- project {project}, with everything in it\n");
    assert_eq!(shown, expected);
    let deleted = server.cli_prints(&["project", "deleted", "--json"]).await;
    let deleted: serde_json::Value =
        serde_json::from_str(deleted.trim()).expect("one project was deleted");
    let id = deleted["id"].to_string();
    server.cli_prints(&["project", "restore", &id]).await;
    files.are_true(&["--prune"]).await;
    let labels = ["label", "list", "--project", &project];
    let labels = server.cli_prints(&labels).await;
    assert!(labels.contains("early"), "{labels}");
}

#[tokio::test]
async fn what_somebody_renamed_is_not_pruned() {
    let server = Server::start().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let text = format!(
        "kind: project\nname: {project}\n---\nkind: label\nproject: {project}\nname: stable\n"
    );
    files.write("a.yaml", &text);
    files.apply(&[], 0).await;
    let renamed = [
        "label",
        "set",
        "stable",
        "--rename",
        "production",
        "--project",
        &project,
    ];
    server.cli_prints(&renamed).await;
    let expected = format!(
        "+ label stable of project {project}
label production of project {project} is not pruned: it was made as label stable of project {project}, and somebody changed that
"
    );
    for (options, code) in [(&["--dry-run", "--prune"][..], 2), (&["--prune"][..], 0)] {
        let (shown, _) = files.apply(options, code).await;
        assert_eq!(shown, expected);
    }
    let labels = ["label", "list", "--project", &project];
    let labels = server.cli_prints(&labels).await;
    assert!(
        labels.contains("stable") && labels.contains("production"),
        "{labels}"
    );
}

#[tokio::test]
async fn a_dry_run_changes_neither_the_schema_nor_makes_a_key() {
    let server = Server::start().await;
    let files = Files::of(&server);
    files.write("a.yaml", "kind: project\nname: library\n");
    let older = "drop table applied; delete from _sqlx_migrations where version = 2";
    server.sql(older).await;
    let (_, refused) = files.apply(&["--dry-run"], 1).await;
    assert!(refused.contains("the schema lacks 2"), "{refused}");
    let status = server.cli(&["db", "status"]).await;
    assert_eq!(status.status.code(), Some(1));
    files.apply(&[], 0).await;
    files.are_true(&["--prune"]).await;

    let data = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(data.path().join("gantry.db"), "").expect("the file can be written");
    let data_path = data.path().to_str().expect("the path is text");
    let migrated = Server::run(&["db", "migrate", "--data", data_path], &[]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let command = [
        "apply",
        "-f",
        files.path(),
        "--dry-run",
        "--data",
        data_path,
    ];
    let output = Server::run(&command, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!data.path().join("master.key").exists());
}

#[tokio::test]
async fn a_robot_is_not_made_if_nobody_would_see_its_secret() {
    let server = SERVER.get().await;
    let project = fresh("gitops");
    let files = Files::of(&server);
    let text = format!(
        "kind: project\nname: {project}\n---\nkind: robot\nproject: {project}\nname: ci\nallow: [repository:pull]\n"
    );
    files.write("team.yaml", &text);
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = server.command(&["apply", "-f", files.path()]);
    command.stdout(full.expect("Linux has it"));
    let status = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .status()
        .await;
    let status = status.expect("gantry can be run");
    assert_eq!(status.code(), Some(1));
    let robots = ["robot", "list", "--project", &project];
    let robots = server.cli_prints(&robots).await;
    assert!(!robots.contains("+ci"), "{robots}");
}
