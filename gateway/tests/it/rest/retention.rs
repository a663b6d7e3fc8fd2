//! Retention: policies, what a dry run says of each artifact, and that a run deletes exactly that.

mod running;

use std::time::Duration;

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Image, Project, Role, Server, eventually, image, index_of, media};

const RETENTIONS: &str = "/api/v2.0/retentions";

/// A rule about repositories and tags that these patterns match; of artifacts without a tag it selects none.
fn rule(template: &str, number: i64, (repositories, tags): (&str, &str)) -> Value {
    let params = match template {
        "always" => json!({}),
        name => json!({ name: number }),
    };
    let selector = |decoration: &str, pattern: &str, extras: &str| json!({ "kind": "doublestar", "decoration": decoration, "pattern": pattern, "extras": extras });
    let repositories = selector("repoMatches", repositories, "");
    let tags = selector("matches", tags, r#"{"untagged":false}"#);
    json!({ "action": "retain", "template": template, "params": params, "tag_selectors": [tags],
        "scope_selectors": { "repository": [repositories] } })
}

/// A policy that spares nothing for being new.
fn policy(project: &Project<'_>, rules: &[Value], cron: &str) -> Value {
    json!({ "algorithm": "or", "grace_secs": 0, "rules": rules, "scope": { "level": "project", "ref": project.id },
        "trigger": { "kind": "Schedule", "settings": { "cron": cron }, "references": {} } })
}

/// Makes a policy that is not scheduled; its path.
async fn make(caller: &Client, project: &Project<'_>, rules: &[Value]) -> String {
    let policy = policy(project, rules, "");
    let made = caller.post(RETENTIONS).json(&policy).await;
    made.expect(201).location()
}

/// An execution that has ended, of those that a policy has: its path.
async fn ended(caller: &Client, path: &str) -> Value {
    let (policy, id) = path.rsplit_once('/').expect("it has parts");
    eventually(60, "the execution ends", async || {
        let listed = caller.get(policy).await.expect(200).json();
        let listed = listed.as_array().expect("a list");
        let found = listed
            .iter()
            .find(|one| one["id"].as_i64() == id.parse().ok())
            .cloned();
        found.filter(|one| one["status"] != "Running")
    })
    .await
}

/// Runs a policy to its end; the path of the execution.
async fn run(caller: &Client, policy: &str, dry_run: bool) -> String {
    let path = format!("{policy}/executions");
    let started = caller.post(&path).json(&json!({ "dry_run": dry_run }));
    let started = started.await.expect(201).location();
    let ended = ended(caller, &started).await;
    assert_eq!(ended["status"], "Success", "{ended}");
    assert_eq!(ended["dry_run"].as_bool().unwrap_or_default(), dry_run);
    started
}

/// The task of a repository in an execution, and its log.
async fn task(caller: &Client, execution: &str, repository: &str) -> (Value, String) {
    let path = format!("{execution}/tasks");
    let tasks = caller.get(&path).await.expect(200).json();
    let tasks = tasks.as_array().expect("a list");
    let task = tasks.iter().find(|task| task["repository"] == repository);
    let task = task
        .unwrap_or_else(|| panic!("no task of {repository}: {tasks:?}"))
        .clone();
    let log = caller.get(&format!("{path}/{}", task["id"])).await;
    (task, log.expect(200).text())
}

/// What the log says of an artifact.
fn said(log: &str, digest: &str) -> String {
    let line = log
        .lines()
        .find(|line| line.contains(&format!("| {digest} |")));
    line.unwrap_or_else(|| panic!("{digest} is not in the log:\n{log}"))
        .to_owned()
}

async fn is_there(caller: &Client, repository: &str, digest: &str) -> bool {
    let path = format!("/v2/{repository}/manifests/{digest}");
    caller.get(&path).await.status == 200
}

#[tokio::test]
async fn a_policy_is_made_shown_changed_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Developer).await;
    let rest = format!("/api/v2.0/projects/{}", project.name);
    let rules = [
        rule("latestPushedK", 3, ("**", "v*")),
        rule("always", 0, ("app", "release-*")),
    ];
    let path = make(&person, &project, &rules).await;
    let (_, id) = path.rsplit_once('/').expect("it has parts");
    let setting = async || {
        let project = server.admin().get(&rest).await.expect(200).json();
        project["metadata"]["retention_id"].clone()
    };
    assert_eq!(setting().await, id);
    let shown = person.get(&path).await.expect(200).json();
    assert_eq!(shown["rules"][0]["params"]["latestPushedK"], 3);
    assert_eq!(
        shown["rules"][1]["tag_selectors"][0]["pattern"],
        "release-*"
    );
    assert_eq!(
        shown["scope"],
        json!({ "level": "project", "ref": project.id })
    );
    assert_eq!(shown["trigger"]["settings"], json!({ "cron": "" }));
    let again = policy(&project, &rules, "");
    let again = person.post(RETENTIONS).json(&again).await;
    let text = format!("project {} already has retention policy {id}", project.id);
    assert_eq!(again.expect_error(400, "BAD_REQUEST").message(), text);

    // The setting goes with the policy alone.
    let admin = server.admin();
    let removed = admin.delete(&format!("{rest}/metadatas/retention_id"));
    removed.await.expect_error(400, "BAD_REQUEST");
    let mut changed = policy(&project, &rules[..1], "0 0 3 * * *");
    changed["id"] = json!(id.parse::<i64>().expect("a number"));
    person.put(&path).json(&changed).await.expect(200);
    let shown = person.get(&path).await.expect(200).json();
    assert_eq!(shown["rules"].as_array().map(Vec::len), Some(1));
    let next = &shown["trigger"]["settings"]["next_scheduled_time"];
    assert!(
        next.as_str().is_some_and(|at| at.contains("T03:00:00")),
        "{shown}"
    );
    let all = server
        .admin()
        .get("/api/v2.0/schedules?page_size=100")
        .await;
    let all = all.expect(200).json();
    let mut all = all.as_array().expect("a list").iter();
    assert!(
        all.any(|one| one["cron"] == "0 0 3 * * *"),
        "it is among the schedules"
    );

    person.delete(&path).await.expect(200);
    assert_eq!(setting().await, Value::Null);
    person.get(&path).await.expect_error(403, "FORBIDDEN");
    let gone = server
        .admin()
        .get(&path)
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(gone.message(), format!("retention policy {id} not found"));
    let history = format!("{rest}/auditlog-exts?q=resource_type%3Dtag-retention&sort=op_time");
    let history = server.admin().get(&history).await.expect(200).json();
    let operations = history.as_array().expect("a list").iter();
    let operations: Vec<&str> = operations
        .filter_map(|one| one["operation"].as_str())
        .collect();
    assert_eq!(operations, ["create", "update", "delete"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_named() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let good = || policy(&project, &[rule("latestPushedK", 3, ("**", "**"))], "");
    for (pointer, value, named) in [
        (
            "/rules/0/template",
            json!("zzz"),
            "rules[0].template: must be one of latestPushedK",
        ),
        (
            "/rules/0/params",
            json!({}),
            "rules[0].params.latestPushedK: must be a whole number",
        ),
        (
            "/rules/0/tag_selectors/0/pattern",
            json!("["),
            "rules[0].tag_selectors[0].pattern",
        ),
        (
            "/rules/0/scope_selectors",
            json!({}),
            "rules[0].scope_selectors.repository",
        ),
        ("/algorithm", json!("and"), "algorithm: must be or"),
        (
            "/scope/level",
            json!("system"),
            "scope.level: must be project",
        ),
        (
            "/scope/ref",
            json!(0),
            "scope.ref: must be the ID of a project",
        ),
        (
            "/grace_secs",
            json!(-1),
            "grace_secs: must be a whole number",
        ),
        (
            "/trigger/kind",
            json!("Event"),
            "trigger.kind: must be Schedule",
        ),
        (
            "/trigger/settings/cron",
            json!("zzz"),
            "expected exactly 6 fields, found 1: [zzz]",
        ),
        (
            "/trigger/settings/cron",
            json!("1 0 0 * * *"),
            "seconds, must be 0",
        ),
    ] {
        let mut body = good();
        *body.pointer_mut(pointer).expect("it is there") = value;
        let answer = admin.post(RETENTIONS).json(&body).await;
        let message = answer.expect_error(400, "BAD_REQUEST").message();
        assert!(message.contains(named), "{pointer}: {message}");
    }
    let mut twice = good();
    twice["rules"] = json!([twice["rules"][0], twice["rules"][0]]);
    let answer = admin.post(RETENTIONS).json(&twice).await;
    answer.expect_error(409, "CONFLICT");
    let many: Vec<Value> = (0..16)
        .map(|n| rule("latestPushedK", n, ("**", "**")))
        .collect();
    let answer = admin
        .post(RETENTIONS)
        .json(&policy(&project, &many, ""))
        .await;
    let message = answer.expect_error(400, "BAD_REQUEST").message();
    assert_eq!(message, "rules: must be a list of at most 15 rules");
    make(&admin, &project, &many[..15]).await;
}

/// A server that takes nothing without a tag for something that is being pushed, a second after it came.
async fn server() -> Server {
    Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await
}

/// Waits until what has no tag counts as what it is.
async fn arrived() {
    tokio::time::sleep(Duration::from_millis(1_200)).await;
}

/// Images of a repository, each pushed with a tag or without, in this order.
async fn push(caller: &Client, repository: &str, tags: &[Option<&str>]) -> Vec<Image> {
    let mut pushed = Vec::new();
    for (at, tag) in tags.iter().enumerate() {
        let one = image(&format!("{repository} {at}"));
        let reference = tag.unwrap_or(&one.digest);
        caller.push_image(repository, reference, &one).await;
        pushed.push(one);
    }
    pushed
}

#[tokio::test]
async fn a_dry_run_names_the_rule_of_each_artifact_and_a_run_deletes_the_rest() {
    let server = server().await;
    let project = server.private_project().await;
    let (admin, person) = (server.admin(), project.member(Role::Maintainer).await);
    let repository = project.repository("team/app");
    let tags = [
        Some("v1"),
        Some("v2"),
        Some("release-1"),
        None,
        Some("v3"),
        Some("latest"),
    ];
    let images = push(&admin, &repository, &tags).await;
    let other = project.repository("other");
    let untouched = push(&admin, &other, &[Some("v1"), None]).await;
    arrived().await;
    let rules = [
        rule("latestPushedK", 2, ("team/*", "v*")),
        rule("always", 0, ("team/*", "release-*")),
    ];
    let policy = make(&person, &project, &rules).await;
    let expected = [
        ("DEL", "selected, but not kept, by rule 1 (latestPushedK 2)"),
        ("RETAIN", "kept by rule 1 (latestPushedK 2)"),
        ("RETAIN", "kept by rule 2 (always)"),
        ("DEL", "no rule selects it"),
        ("RETAIN", "kept by rule 1 (latestPushedK 2)"),
        ("DEL", "no rule selects it"),
    ];

    let execution = run(&person, &policy, true).await;
    let (dry, log) = task(&person, &execution, "team/app").await;
    assert_eq!((&dry["total"], &dry["retained"]), (&json!(6), &json!(3)));
    assert_eq!(
        (&dry["status"], &dry["status_code"]),
        (&json!("Success"), &json!(3))
    );
    assert!(log.contains("dry run, nothing is deleted"), "{log}");
    for (image, (word, reason)) in images.iter().zip(expected) {
        let line = said(&log, &image.digest);
        assert!(line.contains(&format!("| {word} | {reason} |")), "{line}");
        assert!(is_there(&admin, &repository, &image.digest).await, "{line}");
    }

    let execution = run(&person, &policy, false).await;
    let (done, log) = task(&person, &execution, "team/app").await;
    assert_eq!((&done["total"], &done["retained"]), (&json!(6), &json!(3)));
    for (image, (word, reason)) in images.iter().zip(expected) {
        let line = said(&log, &image.digest);
        assert!(line.contains(&format!("| {word} | {reason} |")), "{line}");
        let there = is_there(&admin, &repository, &image.digest).await;
        assert_eq!(there, word == "RETAIN", "{line}");
    }
    for image in &untouched {
        assert!(
            is_there(&admin, &other, &image.digest).await,
            "no rule is about it"
        );
    }
    // One event for each that went, by nobody but the policy.
    let history = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=operation%3Ddelete%2Cresource_type%3Dartifact",
        project.name
    );
    let history = admin.get(&history).await.expect(200).json();
    let history = history.as_array().expect("a list");
    assert_eq!(history.len(), 3, "{history:?}");
    for event in history {
        assert_eq!(event["username"], "tag retention");
    }
    let summary = format!(
        "/api/v2.0/projects/{}/repositories/team%252Fapp",
        project.name
    );
    let summary = admin.get(&summary).await.expect(200).json();
    assert_eq!(summary["artifact_count"], 3);

    // Once more, there is nothing left to do.
    let execution = run(&person, &policy, false).await;
    let (again, _) = task(&person, &execution, "team/app").await;
    assert_eq!(
        (&again["total"], &again["retained"]),
        (&json!(3), &json!(3))
    );
    let listed = person
        .get(&format!("{policy}/executions"))
        .await
        .expect(200);
    assert_eq!(listed.header("x-total-count"), "3");
    assert_eq!(listed.json()[0]["trigger"], "MANUAL");
}

#[tokio::test]
async fn immutable_tags_indexes_and_subjects_keep_what_rules_do_not() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let tags = [
        Some("fixed"),
        Some("child"),
        Some("signed"),
        Some("old"),
        Some("keep"),
    ];
    let images = push(&admin, &repository, &tags).await;
    let [fixed, child, signed, old, keep] = &images[..] else {
        panic!("five were pushed");
    };
    // An index with a tag of its own lists one of them.
    let (index, bytes) = index_of(&[child]);
    let pushed = admin.push_manifest(&repository, "keep-index", media::OCI_INDEX, bytes);
    pushed.await.expect(201);
    // Referrers: of one that stays, and of one that goes.
    let stays = keep.about("kept", "application/vnd.example.sbom");
    let goes = old.about("gone", "application/vnd.example.sbom");
    // And one whose tag is immutable.
    let signature = signed.about("signature", "application/vnd.example.signature");
    for (referrer, reference) in [
        (&stays, &*stays.digest),
        (&goes, &*goes.digest),
        (&signature, "fixed-signature"),
    ] {
        admin.push_image(&repository, reference, referrer).await;
    }
    let immutable = json!({ "action": "immutable", "template": "immutable_template",
        "scope_selectors": { "repository": [{ "kind": "doublestar", "decoration": "repoMatches", "pattern": "**" }] },
        "tag_selectors": [{ "kind": "doublestar", "decoration": "matches", "pattern": "fixed*" }] });
    let rules = format!("/api/v2.0/projects/{}/immutabletagrules", project.name);
    admin.post(&rules).json(&immutable).await.expect(201);
    let policy = make(&admin, &project, &[rule("always", 0, ("**", "keep*"))]).await;
    let expected = [
        (&fixed.digest, "IMMUTABLE", true),
        (&child.digest, "ERR", true),
        (&signed.digest, "IMMUTABLE", true),
        (&old.digest, "DEL", false),
        (&keep.digest, "RETAIN", true),
        (&index, "RETAIN", true),
    ];
    for dry_run in [true, false] {
        let execution = run(&admin, &policy, dry_run).await;
        let (task, log) = task(&admin, &execution, "app").await;
        assert_eq!((&task["total"], &task["retained"]), (&json!(6), &json!(5)));
        for (digest, word, stays) in expected {
            let line = said(&log, digest);
            assert!(line.contains(&format!("| {word} |")), "{line}");
            let there = is_there(&admin, &repository, digest).await;
            assert_eq!(there, stays || dry_run, "{line}");
        }
        assert!(!log.contains(&stays.digest), "referrers are no candidates");
        // These pulls are written before the next run, which else spares what was pulled meanwhile.
        arrived().await;
    }
    for (referrer, there) in [(&stays, true), (&signature, true), (&goes, false)] {
        let found = is_there(&admin, &repository, &referrer.digest).await;
        assert_eq!(found, there, "{}", referrer.digest);
    }
}

#[tokio::test]
async fn a_policy_without_a_rule_that_has_an_effect_deletes_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let images = push(&admin, &repository, &[Some("v1"), None]).await;
    let policy = make(&admin, &project, &[]).await;
    let mut off = rule("latestPushedK", 0, ("**", "**"));
    off["disabled"] = json!(true);
    for rules in [
        vec![],
        vec![off],
        vec![rule("latestPushedK", 0, ("elsewhere", "**"))],
    ] {
        let body = self::policy(&project, &rules, "");
        admin.put(&policy).json(&body).await.expect(200);
        let execution = run(&admin, &policy, false).await;
        let tasks = admin.get(&format!("{execution}/tasks")).await.expect(200);
        assert_eq!(tasks.json(), json!([]));
        for image in &images {
            assert!(is_there(&admin, &repository, &image.digest).await);
        }
    }
}

#[tokio::test]
async fn what_is_pulled_or_pushed_lately_is_kept_by_day() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let images = push(&admin, &repository, &[Some("pulled"), Some("not")]).await;
    admin
        .get(&format!("/v2/{repository}/manifests/pulled"))
        .await
        .expect(200);
    let artifact = format!(
        "/api/v2.0/projects/{}/repositories/app/artifacts/pulled",
        project.name
    );
    eventually(20, "the pull is counted", async || {
        let shown = admin.get(&artifact).await.expect(200).json();
        let at = shown["pull_time"].as_str().unwrap_or_default().to_owned();
        (!at.starts_with("0001")).then_some(())
    })
    .await;
    let rules = [rule("nDaysSinceLastPull", 1, ("**", "**"))];
    // A policy that says nothing of its grace spares for a day what was pushed.
    let mut body = policy(&project, &rules, "");
    let removed = body
        .as_object_mut()
        .expect("an object")
        .remove("grace_secs");
    assert_eq!(removed, Some(json!(0)));
    let made = admin.post(RETENTIONS).json(&body).await;
    let policy = made.expect(201).location();
    let shown = admin.get(&policy).await.expect(200).json();
    assert_eq!(shown.get("grace_secs"), None);
    for dry_run in [true, false] {
        let execution = run(&admin, &policy, dry_run).await;
        let (task, log) = task(&admin, &execution, "app").await;
        assert_eq!((&task["total"], &task["retained"]), (&json!(2), &json!(2)));
        assert!(log.contains("nothing goes within 86400 seconds"), "{log}");
        let line = said(&log, &images[1].digest);
        assert!(
            line.contains("| RETAIN | no rule keeps it, but it was pushed within"),
            "{line}"
        );
    }
    // Nothing but the policy itself takes that away: whoever was never pulled goes.
    body["grace_secs"] = json!(0);
    admin.put(&policy).json(&body).await.expect(200);
    let shown = admin.get(&policy).await.expect(200).json();
    assert_eq!(shown["grace_secs"], 0);
    run(&admin, &policy, false).await;
    assert!(is_there(&admin, &repository, &images[0].digest).await);
    assert!(
        !is_there(&admin, &repository, &images[1].digest).await,
        "it was never pulled"
    );
    // Whoever does not know the key keeps it; null is the default.
    for (change, grace) in [(None, Some(json!(0))), (Some(Value::Null), None)] {
        let fields = body.as_object_mut().expect("an object");
        fields.remove("grace_secs");
        fields.extend(change.map(|secs| ("grace_secs".to_owned(), secs)));
        admin.put(&policy).json(&body).await.expect(200);
        let shown = admin.get(&policy).await.expect(200).json();
        assert_eq!(shown.get("grace_secs"), grace.as_ref());
    }
}

#[tokio::test]
async fn the_command_line_makes_shows_and_runs_policies() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    let images = push(&admin, &repository, &[Some("v1"), Some("v2")]).await;
    let name = project.name.as_str();
    let set = [
        "retention",
        "set",
        name,
        "--keep",
        "latestPushedK=1",
        "--schedule",
        "0 0 4 * * *",
        "--grace-secs",
        "0",
    ];
    let set = server.cli_prints(&set).await;
    assert!(set.contains("is set"), "{set}");
    let shown = server.cli_prints(&["retention", "show", name]).await;
    assert!(
        shown.contains("0 0 4 * * *") && shown.contains("rule 1 (latestPushedK 1) enabled"),
        "{shown}"
    );
    let json = server
        .cli_prints(&["retention", "show", name, "--json"])
        .await;
    let file = server.scratch().join("policy.json");
    std::fs::write(&file, &json).expect("a file can be written");
    let file = file.to_string_lossy();
    server
        .cli_prints(&["retention", "set", name, "--file", &file])
        .await;
    assert_eq!(
        server
            .cli_prints(&["retention", "show", name, "--json"])
            .await,
        json
    );
    // An option that is left out takes no grace away.
    let set = [
        "retention",
        "set",
        name,
        "--keep",
        "latestPushedK=1",
        "--schedule",
        "0 0 4 * * *",
    ];
    server.cli_prints(&set).await;
    assert_eq!(
        server
            .cli_prints(&["retention", "show", name, "--json"])
            .await,
        json
    );
    let bad = server
        .cli(&["retention", "set", name, "--keep", "zzz=1"])
        .await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("rules[0].template"),
        "{bad:?}"
    );

    let started = server.cli_prints(&["retention", "run", name]).await;
    let execution = started
        .split_whitespace()
        .nth(1)
        .expect("its ID")
        .to_owned();
    eventually(30, "the server runs it", async || {
        let listed = server.cli_prints(&["retention", "list", name]).await;
        listed.contains("Success").then_some(())
    })
    .await;
    let log = server
        .cli_prints(&["retention", "log", name, &execution])
        .await;
    assert!(log.contains("2 artifacts, 1 stay, 1 were deleted"), "{log}");
    assert!(said(&log, &images[0].digest).contains("| DEL |"));
    assert!(!is_there(&admin, &repository, &images[0].digest).await);
    let deleted = server.cli_prints(&["retention", "delete", name]).await;
    assert!(deleted.contains("is deleted"), "{deleted}");
    let gone = server.cli(&["retention", "show", name]).await;
    assert_eq!(gone.status.code(), Some(1));
}
