//! The command line beside a running server: what it changes holds at once, and is recorded.

mod administration;
mod apply;
mod audit_list;
mod content;
mod group;
mod node;
mod output;
mod password;
mod progress;
mod robot;
mod terminal;

use crate::harness::{PASSWORD, Server, Shared, eventually, fresh, image};

static SERVER: Shared = Shared::new(&[]);

const LOGIN: &str = "/service/token?service=harbor-registry";

/// `gantry user create NAME` with a password that REST would accept too.
async fn create_user(server: &Server, name: &str, extra: &[&str]) {
    let email = format!("{name}@example.com");
    let arguments = [&["user", "create", name, "--email", &email], extra].concat();
    let created = server
        .cli_with(&arguments, &[("GANTRY_PASSWORD", PASSWORD)])
        .await;
    assert!(
        created.status.success(),
        "{}",
        String::from_utf8_lossy(&created.stderr)
    );
}

/// Whether an entry of this kind is in the audit log.
async fn is_recorded(
    server: &Server,
    operation: &str,
    resource_type: &str,
    resource: &str,
) -> bool {
    let text = server.cli_prints(&["audit", "export"]).await;
    text.lines().any(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("an entry is JSON");
        entry["operation"] == operation
            && entry["resource_type"] == resource_type
            && entry["resource"] == resource
    })
}

#[tokio::test]
async fn a_user_lives_by_the_command_line() {
    let server = SERVER.get().await;
    let name = fresh("cli");
    create_user(&server, &name, &[]).await;
    let person = server.as_user(&name);
    person.get(LOGIN).await.expect(200);
    assert!(server.cli_prints(&["user", "list"]).await.contains(&name));

    let new = [("GANTRY_PASSWORD", "An0therPassword")];
    assert!(
        server
            .cli_with(&["user", "passwd", &name], &new)
            .await
            .status
            .success()
    );
    eventually(2, "the old password is void", async || {
        (person.at(61).get(LOGIN).await.status == 401).then_some(())
    })
    .await;
    let renewed = server.as_user_with(&name, "An0therPassword");
    renewed.get(LOGIN).await.expect(200);

    server.cli_prints(&["user", "delete", &name]).await;
    eventually(2, "the account is gone", async || {
        (renewed.at(62).get("/v2/").await.status == 401).then_some(())
    })
    .await;
    for operation in ["create", "update", "delete"] {
        assert!(
            is_recorded(&server, operation, "user", &name).await,
            "{operation}"
        );
    }
}

#[tokio::test]
async fn an_administrator_may_be_made() {
    let server = SERVER.get().await;
    let name = fresh("boss");
    create_user(&server, &name, &["--admin"]).await;
    server
        .as_user(&name)
        .get("/api/v2.0/users")
        .await
        .expect(200);
}

#[tokio::test]
async fn the_rules_for_users_are_those_of_rest() {
    let server = SERVER.get().await;
    let good = [("GANTRY_PASSWORD", PASSWORD)];
    let mail = "someone@example.com";
    for name in ["", "a,b", "a#b", "a\nb"] {
        let refused = server
            .cli_with(&["user", "create", name, "--email", mail], &good)
            .await;
        assert!(!refused.status.success(), "{name:?} was accepted");
    }
    let name = fresh("rules");
    for mail in ["", "nowhere", "a b@example.com"] {
        let refused = server
            .cli_with(&["user", "create", &name, "--email", mail], &good)
            .await;
        assert!(!refused.status.success(), "{mail:?} was accepted");
    }
    for password in ["short1A", "nodigitsHere", "lowercase1"] {
        let weak = [("GANTRY_PASSWORD", password)];
        let refused = server
            .cli_with(&["user", "create", &name, "--email", mail], &weak)
            .await;
        assert!(!refused.status.success(), "{password:?} was accepted");
    }
    let admin = server.cli(&["user", "delete", "admin"]).await;
    assert!(!admin.status.success(), "admin was deleted");
    let nobody = server.cli(&["user", "delete", "nobody-of-this-name"]).await;
    assert!(!nobody.status.success(), "somebody was deleted");
}

#[tokio::test]
async fn a_project_lives_by_the_command_line() {
    let server = SERVER.get().await;
    let (project, name) = (fresh("cliproject"), fresh("cli"));
    create_user(&server, &name, &[]).await;
    let (person, repository) = (server.as_user(&name), format!("{project}/app"));
    server.cli_prints(&["project", "create", &project]).await;
    assert!(
        server
            .cli_prints(&["project", "list"])
            .await
            .contains(&project)
    );
    let again = server.cli(&["project", "create", &project]).await;
    assert!(!again.status.success(), "a taken name was accepted");

    let path = format!("/v2/{repository}/manifests/latest");
    let status = async |expected: u16, what: &str| {
        eventually(2, what, async || {
            (person.get(&path).await.status == expected).then_some(())
        })
        .await;
    };
    status(401, "a stranger is refused").await;
    server
        .cli_prints(&["member", "grant", &project, &name, "developer"])
        .await;
    status(404, "a developer may look").await;
    let pushed = image("by the command line");
    person.push_image(&repository, "latest", &pushed).await;
    server
        .cli_prints(&["member", "grant", &project, &name, "guest"])
        .await;
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    eventually(2, "a guest may not push", async || {
        (person.post(&uploads).await.status == 401).then_some(())
    })
    .await;
    status(200, "a guest may pull").await;
    server
        .cli_prints(&["member", "revoke", &project, &name])
        .await;
    status(401, "a stranger is refused again").await;

    let full = server.cli(&["project", "delete", &project]).await;
    assert!(
        !full.status.success(),
        "a project with a repository was deleted"
    );
    let nonsense = server
        .cli(&["member", "grant", &project, &name, "emperor"])
        .await;
    assert!(!nonsense.status.success(), "there is no such role");
    for (operation, kind, resource) in [
        ("create", "project", &project),
        ("create", "member", &name),
        ("delete", "member", &name),
    ] {
        assert!(
            is_recorded(&server, operation, kind, resource).await,
            "{operation} {kind}"
        );
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_at_once() {
    let server = Server::start().await;
    let client = server.anonymous();
    let before = client.certificate().await;
    let shown = server.cli_prints(&["cert", "show"]).await;
    assert!(shown.contains("localhost"), "{shown}");
    let authority = server.cli_prints(&["cert", "ca"]).await;
    let file = std::fs::read_to_string(server.authority_file()).expect("the CA can be read");
    assert_eq!(authority.trim(), file.trim());
    server.cli_prints(&["cert", "renew"]).await;
    eventually(2, "the new certificate is shown", async || {
        (client.certificate().await != before).then_some(())
    })
    .await;
    assert!(is_recorded(&server, "update", "certificate", "server").await);
}

#[tokio::test]
async fn commands_without_an_installation_say_so() {
    for command in [["user", "list"], ["audit", "verify"], ["storage", "check"]] {
        let output = Server::run(&[&command[..], &["--data", "nowhere"]].concat(), &[]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("nowhere"),
            "{command:?}: {said}"
        );
    }
}
