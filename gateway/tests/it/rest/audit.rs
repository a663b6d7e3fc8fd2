//! The audit log by REST: who sees what of it, how it is narrowed and paged, its export, and its purge.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Role, Server, eventually, image};

const EXTS: &str = "/api/v2.0/auditlog-exts";

/// The entries that a list shows, newest first.
async fn list(caller: &Client, path: &str) -> Vec<Value> {
    let answer = caller.get(path).await.expect(200);
    answer.json().as_array().expect("a list is a list").clone()
}

/// What entries say of one field.
fn field<'e>(entries: &'e [Value], name: &str) -> Vec<&'e str> {
    entries
        .iter()
        .map(|entry| entry[name].as_str().expect("it is a text"))
        .collect()
}

/// Escapes `q`.
fn q(conditions: &str) -> String {
    let escaped = conditions.replace('=', "%3D").replace(',', "%2C");
    format!("q={}", escaped.replace(' ', "%20").replace('+', "%2B"))
}

#[tokio::test]
async fn what_happened_is_found_by_user_repository_tag_operation_and_time() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Maintainer).await;
    let (admin, app) = (server.admin(), project.repository("app"));
    let pushed = image(&app);
    person.push_image(&app, "v1", &pushed).await;
    person.push_image(&app, "v2", &pushed).await;
    person
        .delete(&format!("/v2/{app}/manifests/v2"))
        .await
        .expect(202);
    let name = person.name();
    let found = async |conditions: &str| list(&admin, &format!("{EXTS}?{}", q(conditions))).await;

    let by_user = found(&format!(
        "username={name},operation=create,resource_type=artifact"
    ))
    .await;
    assert_eq!(
        field(&by_user, "resource"),
        [format!("{app}:v2"), format!("{app}:v1")]
    );
    let entry = &by_user[1];
    assert_eq!(entry["operation_result"], true);
    assert_eq!(entry["username"], name);
    let description = format!("create artifact: {app}@{}", pushed.digest);
    assert_eq!(entry["operation_description"], *description);
    let keys: Vec<&String> = entry.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "op_time",
            "operation",
            "operation_description",
            "operation_result",
            "resource",
            "resource_type",
            "username"
        ]
    );
    let of_tag = found(&format!("repository={app},tag=v2")).await;
    assert_eq!(field(&of_tag, "operation"), ["delete", "create"]);
    let of_project = found(&format!("project={},operation={{delete}}", project.name)).await;
    assert_eq!(field(&of_project, "resource"), [format!("{app}:v2")]);
    let part = found(&format!("resource=~{app}:v,operation=create")).await;
    assert_eq!(part.len(), 2);

    let second = &entry["op_time"].as_str().expect("a time")[..19];
    let within = found(&format!("repository={app},op_time=[{second}~],tag=v1")).await;
    assert_eq!(within.len(), 1, "{within:?}");
    let before = format!("repository={app},op_time=[2020-01-01 00:00:00~2020-01-02 00:00:00]");
    assert!(found(&before).await.is_empty());

    let sorted = format!("{EXTS}?sort=op_time&{}", q(&format!("repository={app}")));
    assert_eq!(
        field(&list(&admin, &sorted).await, "operation"),
        ["create", "create", "delete"]
    );
    let one = format!("{EXTS}?page_size=1&{}", q(&format!("repository={app}")));
    let one = admin.get(&one).await.expect(200);
    assert_eq!(one.header("x-total-count"), "3");
    let next = one.link("next").expect("there is another page");
    assert!(next.contains("page=2"), "{next}");
    let second = list(&admin, &next).await;
    assert_eq!(field(&second, "resource"), [format!("{app}:v2")]);
}

#[tokio::test]
async fn the_older_form_has_the_same_without_what_was_refused() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, stranger) = (server.admin(), server.stranger().await);
    let path = format!("/api/v2.0/projects/{}/members", project.name);
    stranger.get(&path).await.expect(403);
    let mine = q(&format!("username={}", stranger.name()));
    eventually(10, "the refusal is recorded", async || {
        let all = list(&admin, &format!("{EXTS}?{mine}")).await;
        all.iter()
            .any(|entry| entry["operation_result"] == false)
            .then_some(())
    })
    .await;
    let old = list(&admin, &format!("/api/v2.0/audit-logs?{mine}")).await;
    assert!(
        field(&old, "operation")
            .iter()
            .all(|operation| *operation != "refuse")
    );
    let of_project = format!("/api/v2.0/projects/{}/logs", project.name);
    let old = list(&admin, &of_project).await;
    assert_eq!(field(&old, "operation"), ["create"]);
    assert_eq!(field(&old, "resource"), [&project.name]);
    let keys: Vec<&String> = old[0].as_object().expect("an object").keys().collect();
    let expected = [
        "id",
        "op_time",
        "operation",
        "resource",
        "resource_type",
        "username",
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn people_see_what_they_did_and_what_happened_in_their_projects() {
    let server = SERVER.get().await;
    let (theirs, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let head = theirs.member(Role::ProjectAdmin).await;
    let developer = theirs.member(Role::Developer).await;
    other.add(developer.name(), Role::Developer).await;
    let in_other = other.repository("app");
    developer
        .push_image(&in_other, "v1", &image(&in_other))
        .await;
    let app = theirs.repository("app");
    developer.push_image(&app, "v1", &image(&app)).await;

    let tagged = |name: &str| format!("{EXTS}?page_size=100&{}", q(&format!("repository={name}")));
    let seen = async |caller: &Client, name: &str| list(caller, &tagged(name)).await.len();
    assert_eq!(seen(&developer, &app).await, 1, "what one did oneself");
    assert_eq!(seen(&developer, &in_other).await, 1);
    assert_eq!(
        seen(&head, &app).await,
        1,
        "what others did in one's project"
    );
    assert_eq!(seen(&head, &in_other).await, 0);
    assert_eq!(seen(&server.stranger().await, &app).await, 0);
    assert_eq!(seen(&server.admin(), &in_other).await, 1);
    server
        .anonymous()
        .get(EXTS)
        .await
        .expect_error(401, "UNAUTHORIZED");

    let mine = format!("{EXTS}?page_size=100");
    let answer = developer.get(&mine).await.expect(200);
    let entries = answer.json().as_array().expect("a list").clone();
    assert_eq!(answer.header("x-total-count"), entries.len().to_string());
    assert!(
        field(&entries, "username")
            .iter()
            .all(|name| *name == developer.name())
    );
    // Both ranges, none twice, newest first.
    let all = list(&head, &mine).await;
    let ids: Vec<i64> = all
        .iter()
        .map(|entry| entry["id"].as_i64().expect("an id"))
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!(ids, sorted);
    assert!(field(&all, "username").contains(&developer.name()));
    let of_project = format!("/api/v2.0/projects/{}/auditlog-exts", theirs.name);
    assert!(!list(&head, &of_project).await.is_empty());
    developer
        .get(&of_project)
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn types_that_are_switched_off_are_hidden_and_still_written() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let (admin, app) = (server.admin(), project.repository("app"));
    let set = async |types: &str| {
        let change = json!({ "disabled_audit_log_event_types": types });
        admin
            .put("/api/v2.0/configurations")
            .json(&change)
            .await
            .expect(200);
    };
    set("create_artifact,create_project").await;
    admin.push_image(&app, "v1", &image(&app)).await;
    let path = format!("/api/v2.0/projects/{}/auditlog-exts", project.name);
    let hidden = admin.get(&path).await.expect(200);
    assert_eq!(
        (hidden.header("x-total-count"), hidden.text()),
        ("0", "[]".to_owned())
    );
    let export = format!(
        "/api/ext/v1/audit/export?{}",
        q(&format!("repository={app}"))
    );
    assert_eq!(admin.get(&export).await.expect(200).text(), "");
    let printed = server
        .cli_prints(&["audit", "count", "--repository", &app])
        .await;
    assert_eq!(printed.trim(), "0");
    let all = ["audit", "count", "--hidden", "--repository", &app];
    assert_eq!(server.cli_prints(&all).await.trim(), "1");
    set("").await;
    assert_eq!(
        field(&list(&admin, &path).await, "operation"),
        ["create", "create"]
    );
}

#[tokio::test]
async fn an_export_is_everything_that_a_search_finds_and_runs_in_no_spreadsheet() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    for tag in ["v1", "v2", "v3"] {
        admin.push_image(&repository, tag, &image(tag)).await;
    }
    let search = q(&format!("repository={repository}"));
    let json = admin
        .get(&format!("/api/ext/v1/audit/export?format=ndjson&{search}"))
        .await
        .expect(200);
    assert_eq!(json.header("content-type"), "application/x-ndjson");
    let text = json.text();
    let entries: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    assert_eq!(field(&entries, "tag"), ["v3", "v2", "v1"]);
    assert_eq!(entries[0]["project"], *project.name);
    assert_eq!(entries[0]["address"], "127.0.0.1");

    let formula = "=HYPERLINK(\"evil\")";
    server
        .as_user_with(formula, "Wr0ngpass")
        .get("/api/v2.0/users/current")
        .await
        .expect(401);
    let failed = format!(
        "/api/ext/v1/audit/export?format=csv&{}",
        q("operation=login,operation_result=false")
    );
    let csv = eventually(10, "the failed sign-in is recorded", async || {
        let csv = admin.get(&failed).await.expect(200);
        csv.text().contains("HYPERLINK").then_some(csv)
    })
    .await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"audit-log.csv\""
    );
    let text = csv.text();
    assert!(
        text.starts_with("\"id\",\"op_time\",\"username\",\"address\","),
        "{text}"
    );
    assert!(text.contains("\"'=HYPERLINK(\"\"evil\"\")\""), "{text}");
    let wrong = admin.get("/api/ext/v1/audit/export?format=xlsx").await;
    assert!(
        wrong
            .expect_error(422, "UNPROCESSABLE_ENTITY")
            .message()
            .contains("format")
    );

    let stranger = server.stranger().await;
    let own = stranger
        .get(&format!("/api/ext/v1/audit/export?{search}"))
        .await;
    assert_eq!(own.expect(200).text(), "");
}

#[tokio::test]
async fn a_purge_leaves_a_chain_that_is_proved_and_covers_nothing_up() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let (admin, app) = (server.admin(), project.repository("app"));
    for tag in ["v1", "v2", "v3"] {
        admin.push_image(&app, tag, &image(tag)).await;
    }
    server.stop().await;
    // So that they are old, before they are sealed.
    let aged = "update audit set at = at - 172800000000;
        delete from audit_seal";
    server.sql(aged).await;
    server.restart().await;
    eventually(10, "everything is sealed", async || {
        let text = server.cli_prints(&["audit", "verify"]).await;
        text.contains(", 0 not sealed yet").then_some(())
    })
    .await;
    let head = server.cli_prints(&["audit", "export", "--head"]).await;
    let file = server.scratch().join("head.json");
    std::fs::write(&file, head).expect("a file can be written");

    let purge = async |parameters: Value| -> (i64, Value, String) {
        let now = json!({ "schedule": { "type": "Manual" }, "parameters": parameters });
        let path = "/api/v2.0/system/purgeaudit/schedule";
        let started = admin.post(path).json(&now).await.expect(201).location();
        let ended = eventually(20, "the purge ends", async || {
            let run = admin.get(&started).await.expect(200).json();
            let status = run["job_status"].as_str().expect("a text").to_owned();
            (status != "Pending" && status != "Running").then_some(run)
        })
        .await;
        let log = admin.get(&format!("{started}/log")).await.expect(200);
        assert_eq!(log.header("content-type"), "text/plain; charset=utf-8");
        let id = ended["id"].as_i64().expect("an id");
        (id, ended, log.text())
    };
    let of = |dry_run: bool| json!({ "audit_retention_hour": 24, "include_event_types": "create_artifact", "dry_run": dry_run });
    let path = format!("/api/v2.0/projects/{}/auditlog-exts", project.name);
    let (_, run, log) = purge(of(true)).await;
    assert_eq!(run["job_status"], "Success");
    assert_eq!(run["job_name"], "PURGE_AUDIT_LOG");
    assert_eq!(
        run["job_parameters"],
        "{\"audit_retention_hour\":24,\"dry_run\":true,\"include_event_types\":\"create_artifact\"}"
    );
    assert!(log.contains("[DRYRUN] 3 entries would be purged"), "{log}");
    assert_eq!(list(&admin, &path).await.len(), 4);

    let (_, run, log) = purge(of(false)).await;
    assert_eq!(run["job_status"], "Success");
    assert!(log.contains("purged 3 entries"), "{log}");
    assert_eq!(
        field(&list(&admin, &path).await, "resource_type"),
        ["project"]
    );
    let purged = list(&admin, &format!("{EXTS}?{}", q("username=audit purge"))).await;
    // With the first entries that go, and at the end.
    assert_eq!(field(&purged, "operation"), ["delete", "delete"]);
    let file = file.to_str().expect("a path is text").to_owned();
    for arguments in [
        &["audit", "verify"][..],
        &["audit", "verify", "--head", &file],
    ] {
        let text = server.cli_prints(arguments).await;
        assert!(text.contains(", 3 more were purged"), "{text}");
        assert!(text.contains("the audit log is intact"), "{text}");
    }

    // A second purge goes on from what the first one left.
    let everything =
        json!({ "audit_retention_hour": 24, "include_event_types": "other,create_artifact" });
    let (_, run, _) = purge(everything).await;
    assert_eq!(run["job_status"], "Success");
    assert!(list(&admin, &path).await.is_empty());
    let text = server.cli_prints(&["audit", "verify"]).await;
    assert!(text.contains("the audit log is intact"), "{text}");

    // What is stated cannot be changed, and nothing that was changed by hand is covered up.
    server
        .sql("update audit_purge set removed = removed + 1, remaining = remaining - 1")
        .await;
    let verified = server.cli(&["audit", "verify"]).await;
    assert_eq!(verified.status.code(), Some(1));
    server.may_complain();
}

#[tokio::test]
async fn what_no_search_can_mean_is_refused_by_name() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for (query, status, named) in [
        ("q=op_time%3Dyesterday", 400, "op_time"),
        ("q=operation_result%3Dmaybe", 400, "operation_result"),
        ("q=id%3Dx", 400, "id"),
        ("page_size=101", 422, "page_size"),
        ("before=x", 422, "before"),
    ] {
        let answer = admin.get(&format!("{EXTS}?{query}")).await.expect(status);
        assert!(answer.message().contains(named), "{query}: {answer}");
    }
    let answer = admin
        .get(&format!("{EXTS}?q=zzz%3D1&page_size=1"))
        .await
        .expect(200);
    assert!(answer.header("warning").contains("zzz"));
}

#[tokio::test]
async fn the_types_of_events_are_harbors() {
    let server = SERVER.get().await;
    let types = list(&server.admin(), &format!("{EXTS}/events")).await;
    let types = field(&types, "event_type");
    assert_eq!(types.len(), 18);
    assert_eq!(
        types[..3],
        ["create_artifact", "delete_artifact", "pull_artifact"]
    );
    assert_eq!(types[17], "update_project");
}

#[tokio::test]
async fn what_was_done_and_refused_is_counted_by_hour_and_day() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, repository) = (server.admin(), project.repository("app"));
    for tag in ["v1", "v2"] {
        admin.push_image(&repository, tag, &image(tag)).await;
    }
    for step in ["hour", "day"] {
        let search = q(&format!("repository={repository}"));
        let path = format!("/api/ext/v1/stats/audit?step={step}&{search}");
        let series = admin.get(&path).await.expect(200).json();
        assert_eq!(series["truncated"], false);
        let points = series["points"].as_array().expect("a list");
        let done: i64 = points
            .iter()
            .filter_map(|point| point["done"].as_i64())
            .sum();
        assert_eq!(done, 2, "{series}");
        let time = points[0]["time"].as_str().expect("a time");
        let end = if step == "day" {
            "T00:00:00.000Z"
        } else {
            ":00:00.000Z"
        };
        assert!(time.ends_with(end), "{time}");
    }
    let wrong = admin.get("/api/ext/v1/stats/audit?step=week").await;
    assert!(
        wrong
            .expect_error(422, "UNPROCESSABLE_ENTITY")
            .message()
            .contains("step")
    );
}

#[tokio::test]
async fn far_pages_go_on_after_an_entry_and_long_counts_are_marked() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    server.stop().await;
    let many = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
         insert into audit (at, principal_name, address, operation, resource_type, resource, project_id, success, times, detail)
         select 1700000000000000 + i * 1000000, 'ann', '', 'pull', 'artifact', 'r' || i, {}, 1, 1, '' from n",
        project.id
    );
    server.sql(&many).await;
    server.restart().await;
    let path = format!("/api/v2.0/projects/{}/auditlog-exts", project.name);
    let pulls = format!("{path}?page_size=100&{}", q("operation=pull"));
    let first = admin.get(&pulls).await.expect(200);
    let about: i64 = first.header("x-total-count").parse().expect("a number");
    assert!((29_000..31_000).contains(&about), "{about}");
    assert_eq!(first.header("x-total-count-estimated"), "true");
    let page = admin.get(&format!("{pulls}&page=100")).await.expect(200);
    let next = page.link("next").expect("there is another page");
    assert!(
        next.contains("before=") && next.contains("page=101"),
        "{next}"
    );
    let before = field(
        &list(&admin, &format!("{pulls}&page=100")).await,
        "resource",
    )
    .last()
    .copied()
    .expect("a page has rows")
    .to_owned();
    assert_eq!(before, "r20001");
    // What is added meanwhile moves nothing.
    let repository = project.repository("app");
    admin.push_image(&repository, "v1", &image("v1")).await;
    admin
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
    let page = admin.get(&next).await.expect(200);
    let rows = page.json();
    assert_eq!(rows[0]["resource"], "r20000");
    assert_eq!(rows[99]["resource"], "r19901");
    let after = page.link("next").expect("there is another page");
    assert_eq!(list(&admin, &after).await[0]["resource"], "r19900");
    let few = format!("{path}?{}", q("operation=pull,resource=r5"));
    let few = admin.get(&few).await.expect(200);
    assert_eq!(
        (
            few.header("x-total-count"),
            few.maybe_header("x-total-count-estimated")
        ),
        ("1", None)
    );
    // All of them, in parts.
    let export = format!(
        "/api/ext/v1/audit/export?{}",
        q(&format!(
            "operation=pull,project={},resource=~r",
            project.name
        ))
    );
    let lines = admin.get(&export).await.expect(200).text();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.len() >= 30_000, "{}", lines.len());
}
