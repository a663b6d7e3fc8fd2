//! Webhooks: events of projects, sent to a real receiver, which dies, is slow, refuses and redirects.

mod receiver;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use self::receiver::{Answers, Receiver};
use crate::harness::{Client, Project, Replicas, Role, Server, eventually, image, index_of};

/// What makes a policy wrong.
type Change<'a> = &'a dyn Fn(&mut Value);

/// What reaches the receiver on this machine.
const ALLOWED: (&str, &str) = ("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8");

async fn server() -> Server {
    Server::with(&[ALLOWED]).await
}

fn policies(project: &Project<'_>) -> String {
    format!("/api/v2.0/projects/{}/webhook/policies", project.name)
}

fn ext(project: &str) -> String {
    format!("/api/ext/v1/projects/{project}/webhook")
}

/// A policy that sends some events to an address.
fn policy(name: &str, events: &[&str], address: &str) -> Value {
    json!({
        "name": name, "enabled": true, "event_types": events,
        "targets": [{ "type": "http", "address": address }],
    })
}

/// Makes a policy: its path.
async fn make(admin: &Client, project: &Project<'_>, policy: &Value) -> String {
    let made = admin.post(&policies(project)).json(policy).await;
    made.expect(201).location()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().expect("a path has parts")
}

async fn json_of(caller: &Client, path: &str) -> Value {
    caller.get(path).await.expect(200).json()
}

/// The host by which clients know a server.
async fn known_as(caller: &Client) -> String {
    let shown = json_of(caller, "/api/v2.0/systeminfo").await;
    let url = shown["external_url"].as_str().expect("it has a URL");
    url.trim_start_matches("https://").to_owned()
}

/// Waits until so many deliveries of a project have succeeded.
async fn delivered(caller: &Client, project: &str, count: &str) {
    let path = format!("{}/deliveries?status=Success", ext(project));
    eventually(20, "it is noted that they were taken", async || {
        let listed = caller.get(&path).await.expect(200);
        (listed.header("x-total-count") == count).then_some(())
    })
    .await;
}

/// Tags that a receiver took.
fn tags(taken: &[receiver::Received]) -> Vec<String> {
    taken.iter().map(receiver::Received::tag).collect()
}

#[tokio::test]
async fn what_happens_to_artifacts_is_sent_in_harbors_form() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    let before = image("before the policy");
    let repository = project.repository("deep/app");
    admin.push_image(&repository, "v0", &before).await;
    let events = ["PUSH_ARTIFACT", "PULL_ARTIFACT", "DELETE_ARTIFACT"];
    let mut wanted = policy("hook", &events, &receiver.url("/a"));
    wanted["targets"][0]["auth_header"] = json!("Bearer t0ken");
    wanted["targets"][0]["secret"] = json!("signed by this");
    let path = make(&admin, &project, &wanted).await;

    let pushed = image("pushed");
    admin.push_image(&repository, "v1", &pushed).await;
    let first = receiver.takes("/a", 1, 20).await.remove(0);
    let body = first.body();
    assert_eq!(
        (&body["type"], &body["operator"]),
        (&json!("PUSH_ARTIFACT"), &json!("admin"))
    );
    let data = &body["event_data"];
    let resource = json!({
        "digest": pushed.digest, "tag": "v1",
        "resource_url": format!("{}/{repository}:v1", known_as(&admin).await),
    });
    assert_eq!(data["resources"], json!([resource]));
    let shown = &data["repository"];
    assert_eq!(shown["name"], "deep/app");
    assert_eq!(shown["namespace"], json!(project.name));
    assert_eq!(
        (&shown["repo_full_name"], &shown["repo_type"]),
        (&json!(repository), &json!("private"))
    );
    assert!(
        shown["date_created"]
            .as_i64()
            .is_some_and(|at| at > 1_600_000_000)
    );
    assert_eq!(first.header("authorization"), "Bearer t0ken");
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("x-gantry-event"), "PUSH_ARTIFACT");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"signed by this");
    let signature = format!("sha256={}", hex::encode(hmac::sign(&key, &first.bytes)));
    assert_eq!(first.header("x-signature"), signature);

    // A pull, a tag set by REST, and a deletion, which says which tags there were.
    admin
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
    let second = receiver.takes("/a", 2, 20).await.remove(1);
    assert_eq!(
        (second.body()["type"].as_str(), second.tag()),
        (Some("PULL_ARTIFACT"), "v1".to_owned())
    );
    let artifact = format!(
        "/api/v2.0/projects/{}/repositories/deep%252Fapp/artifacts/{}",
        project.name, pushed.digest
    );
    admin
        .post(&format!("{artifact}/tags"))
        .json(&json!({ "name": "v2" }))
        .await
        .expect(201);
    let third = receiver.takes("/a", 3, 20).await.remove(2);
    assert_eq!(
        (third.body()["type"].as_str(), third.tag()),
        (Some("PUSH_ARTIFACT"), "v2".to_owned())
    );
    assert_eq!(
        third.body()["event_data"]["resources"][0]["digest"],
        pushed.digest
    );
    admin.delete(&artifact).await.expect(200);
    let fourth = receiver.takes("/a", 4, 20).await.remove(3);
    assert_eq!(fourth.body()["type"], "DELETE_ARTIFACT");
    let gone = &fourth.body()["event_data"]["resources"][0];
    assert_eq!(gone["digest"], pushed.digest);
    assert!(["v1", "v2"].contains(&gone["tag"].as_str().expect("it had tags")));

    // Secrets are not shown, and the policy lists what it sent.
    delivered(&admin, &project.name, "4").await;
    let shown = json_of(&admin, &path).await;
    assert_eq!(shown["targets"][0]["auth_header"], "*****");
    let executions = json_of(&admin, &format!("{path}/executions")).await;
    assert_eq!(executions.as_array().map(Vec::len), Some(4));
    let newest = &executions[0];
    assert_eq!(
        (&newest["status"], &newest["vendor_type"]),
        (&json!("Success"), &json!("WEBHOOK"))
    );
    assert_eq!(newest["extra_attrs"]["event_type"], "DELETE_ARTIFACT");
    assert_eq!(
        newest["metrics"],
        json!({ "task_count": 1, "success_task_count": 1 })
    );
    let tasks = format!("{path}/executions/{}/tasks", newest["id"]);
    let task = json_of(&admin, &tasks).await[0].clone();
    assert_eq!(
        (&task["status"], &task["run_count"]),
        (&json!("Success"), &json!(1))
    );
    let log = admin
        .get(&format!("{tasks}/{}/log", task["id"]))
        .header("accept", "text/plain")
        .await;
    assert!(log.expect(200).text().contains("[INFO] sent: status 204"));
    let triggers = json_of(
        &admin,
        &path.replace(&format!("policies/{}", last(&path)), "lasttrigger"),
    )
    .await;
    let rows = triggers.as_array().expect("a list");
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter()
            .all(|row| row["last_trigger_time"].as_str() > Some("2020"))
    );
    let jobs = path.replace(&format!("policies/{}", last(&path)), "jobs");
    let jobs = json_of(
        &admin,
        &format!("{jobs}?policy_id={}&status=Success", last(&path)),
    )
    .await;
    assert_eq!(jobs.as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn other_forms_and_parts_of_images() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    let mut wanted = policy("cloud", &["PUSH_ARTIFACT"], &receiver.url("/cloud"));
    wanted["targets"][0]["payload_format"] = json!("CloudEvents");
    wanted["targets"]
        .as_array_mut()
        .expect("a list")
        .push(json!({
            "type": "slack", "address": receiver.url("/slack"),
        }));
    wanted["untagged"] = json!(false);
    let path = make(&admin, &project, &wanted).await;
    let (one, other) = (image("one platform"), image("another platform"));
    let repository = project.repository("app");
    for part in [&one, &other] {
        admin.push_image(&repository, &part.digest, part).await;
    }
    let (_, index) = index_of(&[&one, &other]);
    let media_type = "application/vnd.oci.image.index.v1+json";
    admin
        .push_manifest(&repository, "v1", media_type, index)
        .await
        .expect(201);
    let cloud = receiver.takes("/cloud", 1, 20).await.remove(0);
    assert_eq!(cloud.header("content-type"), "application/cloudevents+json");
    let body = cloud.body();
    assert_eq!(
        (&body["specversion"], &body["type"]),
        (&json!("1.0"), &json!("harbor.artifact.pushed"))
    );
    assert_eq!(body["data"]["resources"][0]["tag"], "v1");
    let id = last(&path);
    let source = body["source"].as_str().expect("it has a source");
    assert!(
        source.ends_with(&format!("/webhook/policies/{id}")),
        "{source}"
    );
    let slack = receiver.takes("/slack", 1, 20).await.remove(0);
    assert_eq!(slack.body()["blocks"][0]["type"], "header");
    assert!(slack.header("authorization").is_empty());
    // The parts were left out.
    assert_eq!(
        (
            receiver.taken("/cloud").len(),
            receiver.taken("/slack").len()
        ),
        (1, 1)
    );
    let listed = json_of(&admin, &format!("{path}/executions")).await;
    let mut kinds: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["vendor_type"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["SLACK", "WEBHOOK"]);
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_in_order_whatever_else_dies() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let name = project.name.clone();
    let admin = server.admin();
    make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    let repositories = [project.repository("one"), project.repository("other")];
    receiver.die();
    let mut expected = Vec::new();
    for number in 0..6 {
        let tag = format!("v{number}");
        for repository in &repositories {
            let pushed = image(&format!("{repository} {tag}"));
            server.admin().push_image(repository, &tag, &pushed).await;
        }
        expected.push(tag);
        if number == 2 {
            // In the middle: nothing that was acknowledged is lost.
            server.kill();
            server.restart().await;
        }
    }
    let admin = server.admin();
    let waiting = eventually(20, "it waits for the receiver", async || {
        let path = format!("{}/deliveries?status=Running", ext(&name));
        let listed = admin.get(&path).await.expect(200);
        (listed.header("x-total-count") == "12").then(|| listed.json())
    });
    let waiting = waiting.await;
    assert_eq!(waiting[0]["event_type"], "PUSH_ARTIFACT");
    server.kill();
    receiver.come_back().await;
    server.restart().await;
    let taken = receiver.takes("/a", 12, 90).await;
    for repository in &repositories {
        let of = |it: &&receiver::Received| {
            it.body()["event_data"]["repository"]["repo_full_name"] == json!(repository)
        };
        let seen: Vec<String> = taken
            .iter()
            .filter(of)
            .map(receiver::Received::tag)
            .collect();
        // A request whose outcome was not written is sent once more, with the same id.
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(once, expected, "{repository}");
    }
    let admin = server.admin();
    delivered(&admin, &name, "12").await;
}

#[tokio::test]
async fn a_slow_receiver_holds_up_no_other_and_no_push() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    receiver.answer("/slow", Answers::Late(200, 4_000));
    make(
        &admin,
        &project,
        &policy("slow", &["PUSH_ARTIFACT"], &receiver.url("/slow")),
    )
    .await;
    make(
        &admin,
        &project,
        &policy("fast", &["PUSH_ARTIFACT"], &receiver.url("/fast")),
    )
    .await;
    let begun = std::time::Instant::now();
    for number in 0..8 {
        let repository = project.repository(&format!("app{number}"));
        admin
            .push_image(&repository, "v1", &image(&repository))
            .await;
    }
    receiver.takes("/fast", 8, 10).await;
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    // Four at a time, and no more.
    assert!(receiver.asked("/slow").len() <= 4);
    receiver.takes("/slow", 8, 30).await;
}

#[tokio::test]
async fn what_is_refused_is_given_up_and_holds_up_its_repository_alone() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    receiver.answer("/in", Answers::Redirect("http://169.254.169.254/latest"));
    let path = make(
        &admin,
        &project,
        &policy("in", &["PUSH_ARTIFACT"], &receiver.url("/in")),
    )
    .await;
    admin
        .push_image(&project.repository("app"), "v1", &image("redirected"))
        .await;
    let listed = format!("{}/deliveries", ext(&project.name));
    let refused = eventually(20, "it is redirected", async || {
        let listed = json_of(&admin, &listed).await;
        (listed[0]["response_status"] == 302).then(|| listed[0].clone())
    });
    let refused = refused.await;
    assert_eq!(refused["status"], "Running", "it is sent again");
    let why = refused["error"].as_str().expect("it says why");
    assert!(why.contains("redirects are not followed"), "{why}");
    // Another repository goes on once the receiver takes it, while this one waits for its next attempt.
    receiver.answer("/in", Answers::With(200));
    admin
        .push_image(&project.repository("other"), "v1", &image("not redirected"))
        .await;
    let taken = receiver.takes("/in", 1, 10).await;
    assert_eq!(taken[0].body()["event_data"]["repository"]["name"], "other");
    receiver.takes("/in", 2, 40).await;
    delivered(&admin, &project.name, "2").await;
    // What a receiver answers is shown to nobody.
    let shown = json_of(&admin, &format!("{listed}/{}", refused["id"])).await;
    assert!(!shown.to_string().contains("only the receiver's network"));
    assert_eq!(shown["log"].as_array().map(Vec::len), Some(2));
    admin.delete(&path).await.expect(200);
}

#[tokio::test]
async fn an_address_inside_is_not_connected_to() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let path = make(
        &admin,
        &project,
        &policy("in", &["PUSH_ARTIFACT"], &receiver.url("/in")),
    )
    .await;
    let tried = admin
        .post(&format!(
            "{}/policies/{}/test",
            ext(&project.name),
            last(&path)
        ))
        .await;
    let tried = tried.expect(200).json();
    let why = tried[0]["error"].as_str().expect("it says why");
    assert!(why.contains("[outgoing] allow"), "{why}");
    assert!(!why.contains("127.0.0.1"));
    assert!(receiver.asked("/in").is_empty());
}

#[tokio::test]
async fn tests_and_redeliveries() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    let path = make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    let test = format!("{}/policies/{}/test", ext(&project.name), last(&path));
    let tried = admin
        .post(&test)
        .json(&json!({ "event_type": "QUOTA_WARNING" }))
        .await;
    let tried = tried.expect(200).json();
    assert_eq!(
        (&tried[0]["response_status"], &tried[0]["error"]),
        (&json!(204), &Value::Null)
    );
    let sample = receiver.taken("/a").remove(0).body();
    assert_eq!(
        (&sample["type"], &sample["operator"]),
        (&json!("QUOTA_WARNING"), &json!("admin"))
    );
    let refused = admin
        .post(&test)
        .json(&json!({ "event_type": "zzz" }))
        .await;
    refused.expect_error(400, "BAD_REQUEST");

    admin
        .push_image(&project.repository("app"), "v1", &image("sent twice"))
        .await;
    let first = receiver.takes("/a", 2, 20).await.remove(1);
    let deliveries = format!("{}/deliveries", ext(&project.name));
    let sent = eventually(10, "it is noted", async || {
        let listed = json_of(&admin, &deliveries).await;
        (listed[0]["status"] == "Success").then(|| listed[0]["id"].clone())
    });
    let again = admin
        .post(&format!("{deliveries}/{}/redeliver", sent.await))
        .await;
    let again = again.expect(202).json()["id"].clone();
    let second = receiver.takes("/a", 3, 20).await.remove(2);
    assert_eq!(second.bytes, first.bytes);
    let shown = json_of(&admin, &format!("{deliveries}/{again}")).await;
    assert_eq!(shown["trigger"], "MANUAL");
    assert_eq!(
        shown["payload"].as_str().map(str::as_bytes),
        Some(&*first.bytes)
    );
    let none = admin.post(&format!("{deliveries}/999999/redeliver")).await;
    none.expect_error(404, "NOT_FOUND");
    // Not to an address that the policy does not name any more.
    let moved = policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/b"));
    admin.put(&path).json(&moved).await.expect(200);
    let gone = admin.post(&format!("{deliveries}/{again}/redeliver")).await;
    gone.expect_error(412, "PRECONDITION");
    // Those who may look may not send.
    let maintainer = project.member(Role::Maintainer).await;
    json_of(&maintainer, &deliveries).await;
    maintainer.post(&test).await.expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_deleted_policy_sends_nothing_more() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    let path = make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    receiver.die();
    for number in 0..3 {
        let tag = format!("v{number}");
        admin
            .push_image(&project.repository("app"), &tag, &image(&tag))
            .await;
    }
    let waiting = format!("{}/targets", ext(&project.name));
    eventually(20, "it waits, and the page says why", async || {
        let target = json_of(&admin, &waiting).await[0].clone();
        let is_failing = target["failing_since"].is_string() && target["last_error"].is_string();
        (target["waiting"] == 3 && is_failing).then_some(())
    })
    .await;
    admin.delete(&path).await.expect(200);
    admin.get(&path).await.expect_error(404, "NOT_FOUND");
    receiver.come_back().await;
    // Its name is free, and only what happens from now on is sent.
    make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    admin
        .push_image(&project.repository("app"), "v3", &image("later"))
        .await;
    let taken = receiver.takes("/a", 1, 30).await;
    assert_eq!(tags(&taken), ["v3"]);
    let deliveries = json_of(&admin, &format!("{}/deliveries", ext(&project.name))).await;
    assert_eq!(deliveries.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_receiver_that_is_dead_for_a_week_is_skipped_until_it_answers() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let name = project.name.clone();
    let admin = server.admin();
    make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    let targets = format!("{}/targets", ext(&name));
    receiver.die();
    for number in 0..3 {
        let tag = format!("v{number}");
        admin
            .push_image(&project.repository("app"), &tag, &image(&tag))
            .await;
    }
    eventually(20, "it does not answer", async || {
        let target = json_of(&admin, &targets).await[0].clone();
        target["failing_since"].is_string().then_some(())
    })
    .await;
    // As if that had been so for eight days.
    let week =
        "update webhook_target set failing_since = failing_since - 691200000000, retry_at = 0";
    server.sql(week).await;
    server.sql("update webhook_delivery set due_at = 0").await;
    let skipped = eventually(30, "it is skipped", async || {
        let target = json_of(&admin, &targets).await[0].clone();
        (target["skipped_since"].is_string() && target["waiting"] == 1).then_some(target)
    });
    assert!(skipped.await["last_error"].is_string());
    let notices = json_of(&admin, "/api/ext/v1/notices").await;
    let notices = notices.as_array().expect("a list");
    let notice = notices.iter().find(|one| one["kind"] == "webhook");
    let notice = notice.expect("there is a notice");
    assert_eq!(
        (&notice["severity"], &notice["subject"]),
        (&json!("error"), &json!("hook"))
    );
    let history = format!("/api/v2.0/projects/{name}/auditlog-exts?q=operator%3Dwebhooks");
    assert_eq!(json_of(&admin, &history).await[0]["operation"], "update");
    // One event at a time is tried; when one is taken, all is sent again.
    admin
        .push_image(&project.repository("app"), "v3", &image("skipped"))
        .await;
    // Long enough for it to be followed, and left out.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    receiver.come_back().await;
    server.sql("update webhook_target set retry_at = 0").await;
    server.sql("update webhook_delivery set due_at = 0").await;
    assert_eq!(tags(&receiver.takes("/a", 1, 30).await), ["v2"]);
    eventually(20, "it is not skipped any more", async || {
        let target = json_of(&admin, &targets).await[0].clone();
        target["skipped_since"].is_null().then_some(())
    })
    .await;
    admin
        .push_image(&project.repository("app"), "v4", &image("again"))
        .await;
    assert_eq!(tags(&receiver.takes("/a", 2, 30).await), ["v2", "v4"]);
    server.may_complain();
}

#[tokio::test]
async fn quotas_are_told_of_once_in_a_while() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    let events = ["QUOTA_EXCEED", "QUOTA_WARNING"];
    make(
        &admin,
        &project,
        &policy("quota", &events, &receiver.url("/a")),
    )
    .await;
    let first = image("fits");
    let repository = project.repository("app");
    admin.push_image(&repository, "v1", &first).await;
    let quotas = json_of(
        &admin,
        &format!("/api/v2.0/projects/{}/summary", project.name),
    )
    .await;
    let used = quotas["quota"]["used"]["storage"]
        .as_i64()
        .expect("it holds something");
    let of_project = json_of(&admin, &format!("/api/v2.0/projects/{}", project.name)).await;
    let id = of_project["project_id"].as_i64().expect("it has an id");
    let listed = json_of(
        &admin,
        &format!("/api/v2.0/quotas?reference=project&reference_id={id}"),
    )
    .await;
    let quota = format!("/api/v2.0/quotas/{}", listed[0]["id"]);
    let hard = json!({ "hard": { "storage": used + 10 } });
    admin.put(&quota).json(&hard).await.expect(200);
    admin.push_image(&repository, "v2", &first).await;
    let warned = receiver.takes("/a", 1, 20).await.remove(0).body();
    assert_eq!(warned["type"], "QUOTA_WARNING");
    let details = warned["event_data"]["custom_attributes"]["Details"].as_str();
    assert!(
        details.is_some_and(|text| text.contains("% of its quota")),
        "{warned}"
    );
    for _ in 0..3 {
        let path = format!(
            "/v2/{repository}/blobs/uploads/?digest={}",
            image("big").blobs().next().expect("it has blobs").digest
        );
        let bytes = image("big")
            .blobs()
            .next()
            .expect("it has blobs")
            .bytes
            .clone();
        admin
            .post(&path)
            .body(bytes)
            .await
            .expect_error(403, "DENIED");
    }
    let exceeded = receiver.takes("/a", 2, 20).await.remove(1).body();
    assert_eq!(exceeded["type"], "QUOTA_EXCEED");
    let details = exceeded["event_data"]["custom_attributes"]["Details"].as_str();
    assert!(
        details.is_some_and(|text| text.contains("will exceed")),
        "{exceeded}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(receiver.taken("/a").len(), 2, "one of each");
}

#[tokio::test]
async fn retention_says_what_it_deleted_and_no_receiver_makes_it_fail() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let admin = server.admin();
    receiver.answer("/a", Answers::With(500));
    make(
        &admin,
        &project,
        &policy("kept", &["TAG_RETENTION"], &receiver.url("/a")),
    )
    .await;
    let repository = project.repository("app");
    let old = image("old");
    admin.push_image(&repository, "v1", &old).await;
    admin.push_image(&repository, "v2", &image("new")).await;
    let of_project = json_of(&admin, &format!("/api/v2.0/projects/{}", project.name)).await;
    let id = of_project["project_id"].as_i64().expect("it has an id");
    let selector = |kind: &str, pattern: &str| json!({ "kind": "doublestar", "decoration": kind, "pattern": pattern });
    let policy = json!({
        "algorithm": "or", "grace_secs": 0, "scope": { "level": "project", "ref": id }, "trigger": { "kind": "Schedule", "settings": { "cron": "" } },
        "rules": [{
            "action": "retain", "template": "always", "params": {},
            "scope_selectors": { "repository": [selector("repoMatches", "**")] },
            "tag_selectors": [selector("matches", "v2")],
        }],
    });
    let made = admin
        .post("/api/v2.0/retentions")
        .json(&policy)
        .await
        .expect(201)
        .location();
    let executions = format!("{made}/executions");
    admin
        .post(&executions)
        .json(&json!({ "dry_run": false }))
        .await
        .expect(201);
    eventually(30, "retention ends", async || {
        let listed = json_of(&admin, &executions).await;
        (listed[0]["status"] == "Success").then_some(())
    })
    .await;
    eventually(20, "the receiver is asked", async || {
        (!receiver.asked("/a").is_empty()).then_some(())
    })
    .await;
    receiver.answer("/a", Answers::With(200));
    let told = receiver.takes("/a", 1, 60).await.remove(0).body();
    let retention = &told["event_data"]["retention"];
    assert_eq!(
        (&told["type"], &retention["result"]),
        (&json!("TAG_RETENTION"), &json!("SUCCESS"))
    );
    assert_eq!(
        (&retention["total"], &retention["retained"]),
        (&json!(2), &json!(1))
    );
    let deleted = &retention["deleted_artifact"][0]["name_tag"];
    assert_eq!(deleted, &json!(format!("{repository}@{}", old.digest)));
    assert_eq!(retention["harbor_hostname"], json!(known_as(&admin).await));
}

#[tokio::test]
async fn replication_says_how_it_went() {
    let (server, other) = (server().await, server().await);
    let receiver = Receiver::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    make(
        &admin,
        &project,
        &policy("copied", &["REPLICATION"], &receiver.url("/a")),
    )
    .await;
    admin
        .push_image(&project.repository("app"), "v1", &image("copied"))
        .await;
    let ca = std::fs::read_to_string(other.authority_file()).expect("it has an authority");
    let registry = json!({
        "name": "other", "type": "harbor", "url": format!("https://{}", other.host()), "ca_certificate": ca,
        "credential": { "type": "basic", "access_key": "admin", "access_secret": crate::harness::ADMIN_PASSWORD },
    });
    let registry = admin
        .post("/api/v2.0/registries")
        .json(&registry)
        .await
        .expect(201)
        .location();
    let registry: i64 = last(&registry).parse().expect("an id is a number");
    let wanted = json!({
        "name": "out", "dest_registry": { "id": registry }, "enabled": true, "override": true,
        "filters": [{ "type": "name", "value": format!("{}/**", project.name) }], "trigger": { "type": "manual" },
    });
    let made = admin
        .post("/api/v2.0/replication/policies")
        .json(&wanted)
        .await
        .expect(201)
        .location();
    let made: i64 = last(&made).parse().expect("an id is a number");
    let start = json!({ "policy_id": made });
    admin
        .post("/api/v2.0/replication/executions")
        .json(&start)
        .await
        .expect(201);
    let told = receiver.takes("/a", 2, 60).await;
    let statuses: Vec<Value> = told
        .iter()
        .map(|one| one.body()["event_data"]["replication"]["job_status"].clone())
        .collect();
    assert_eq!(statuses, ["Running", "Success"]);
    let last = told[1].body()["event_data"]["replication"].clone();
    assert_eq!(last["trigger_type"], "MANUAL");
    assert_eq!(last["src_resource"]["namespace"], json!(project.name));
    assert!(last["successful_artifact"].is_array());
}

#[tokio::test]
async fn two_replicas_on_one_database_send_each_event_once() {
    let both = Replicas::with(&[ALLOWED]).await;
    let receiver = Receiver::start().await;
    let project = both.first.private_project().await;
    let admin = both.first.admin();
    make(
        &admin,
        &project,
        &policy("hook", &["PUSH_ARTIFACT"], &receiver.url("/a")),
    )
    .await;
    let (first, second) = (both.first.admin(), both.second.admin());
    let push = async |caller: &Client, side: &str| {
        for number in 0..10 {
            let repository = project.repository(side);
            let pushed = image(&format!("{side} {number}"));
            caller
                .push_image(&repository, &format!("v{number}"), &pushed)
                .await;
        }
    };
    tokio::join!(push(&first, "one"), push(&second, "other"));
    let taken = receiver.takes("/a", 20, 30).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(receiver.taken("/a").len(), 20, "each once");
    for side in ["one", "other"] {
        let of =
            |it: &&receiver::Received| it.body()["event_data"]["repository"]["name"] == json!(side);
        let seen: Vec<String> = taken
            .iter()
            .filter(of)
            .map(receiver::Received::tag)
            .collect();
        let expected: Vec<String> = (0..10).map(|number| format!("v{number}")).collect();
        assert_eq!(seen, expected, "{side}");
    }
    // One dies with what waits; the other goes on.
    receiver.die();
    for number in 10..13 {
        let pushed = image(&format!("late {number}"));
        second
            .push_image(&project.repository("one"), &format!("v{number}"), &pushed)
            .await;
    }
    both.first.kill();
    receiver.come_back().await;
    let taken = receiver.takes("/a", 23, 90).await;
    let mut late: Vec<String> = taken[20..].iter().map(receiver::Received::tag).collect();
    late.dedup();
    assert_eq!(late, ["v10", "v11", "v12"]);
    both.first.restart().await;
}

#[tokio::test]
async fn what_is_not_valid_is_named() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let path = policies(&project);
    let good = policy("hook", &["PUSH_ARTIFACT"], "https://ci.example/hook");
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut wanted = good.clone();
        change(&mut wanted);
        let answer = admin.post(&path).json(&wanted).await;
        answer.expect_error(400, "BAD_REQUEST").message()
    };
    let cases: [(Change<'_>, &str); 8] = [
        (&|it| it["name"] = json!(" "), "name"),
        (
            &|it| it["event_types"] = json!(["zzz"]),
            "unsupported event type zzz",
        ),
        (&|it| it["event_types"] = json!([]), "empty event type"),
        (
            &|it| it["targets"] = json!([]),
            "empty notification target with policy hook",
        ),
        (
            &|it| it["targets"][0]["type"] = json!("zzz"),
            "unsupported target type zzz with policy hook",
        ),
        (
            &|it| it["targets"][0]["address"] = json!("https://a:b@c/"),
            "targets.address",
        ),
        (
            &|it| it["targets"][0]["payload_format"] = json!("xml"),
            "unsupported payload format xml",
        ),
        (
            &|it| it["targets"][0]["auth_header"] = json!("a\nb"),
            "targets.auth_header",
        ),
    ];
    for (change, expected) in cases {
        let message = refused(change).await;
        assert!(message.contains(expected), "{message}");
    }
    let made = make(&admin, &project, &good).await;
    let twice = admin
        .post(&path)
        .json(&good)
        .await
        .expect_error(409, "CONFLICT");
    assert_eq!(
        twice.message(),
        "notification policy named hook already exists"
    );
    let none = admin
        .get(&format!("{path}/9999"))
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(none.message(), "notificationPolicy 9999 not found");
    // A secret is kept for its address alone.
    let mut secret = good.clone();
    secret["targets"][0]["auth_header"] = json!("Bearer t0ken");
    admin.put(&made).json(&secret).await.expect(200);
    secret["targets"][0]["auth_header"] = json!("*****");
    admin.put(&made).json(&secret).await.expect(200);
    let shown = json_of(&admin, &made).await;
    assert_eq!(shown["targets"][0]["auth_header"], "*****");
    secret["targets"][0]["address"] = json!("https://elsewhere.example/hook");
    let moved = admin
        .put(&made)
        .json(&secret)
        .await
        .expect_error(400, "BAD_REQUEST");
    assert!(
        moved.message().starts_with("auth_header"),
        "{}",
        moved.message()
    );
    // A policy of another project is none of this one.
    let other = server.private_project().await;
    let elsewhere = format!("{}/{}", policies(&other), last(&made));
    admin.get(&elsewhere).await.expect_error(404, "NOT_FOUND");
    admin
        .delete(&elsewhere)
        .await
        .expect_error(404, "NOT_FOUND");
    json_of(&admin, &made).await;
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let project = server.private_project().await;
    let (name, url) = (project.name.clone(), receiver.url("/cli"));
    let create = [
        "webhook",
        "create",
        &name,
        "hook",
        "--url",
        &url,
        "--events",
        "PUSH_ARTIFACT",
    ];
    let secret = [("GANTRY_WEBHOOK_SECRET", "signed")];
    let made = server.cli_with(&create, &secret).await;
    assert!(made.status.success(), "{made:?}");
    let listed = server.cli_prints(&["webhook", "list", &name]).await;
    assert!(
        listed.contains("hook enabled: PUSH_ARTIFACT") && listed.contains("not used yet"),
        "{listed}"
    );
    // It sends from this process, by the same rules of where to.
    let tested = server
        .cli_as_server(&["webhook", "test", &name, "hook"])
        .await;
    let printed = String::from_utf8_lossy(&tested.stdout);
    assert!(printed.contains("taken with status 204"), "{tested:?}");
    assert!(
        receiver.taken("/cli")[0]
            .header("x-signature")
            .starts_with("sha256=")
    );
    server
        .admin()
        .push_image(&project.repository("app"), "v1", &image("by cli"))
        .await;
    receiver.takes("/cli", 2, 20).await;
    let deliveries = [
        "webhook",
        "deliveries",
        &name,
        "--status",
        "Success",
        "--json",
    ];
    let id = eventually(10, "it is noted", async || {
        let printed = server.cli_prints(&deliveries).await;
        let first: Value = serde_json::from_str(printed.lines().next()?).ok()?;
        Some(first["id"].to_string())
    });
    let id = id.await;
    let shown = server.cli_prints(&["webhook", "show", &name, &id]).await;
    assert!(
        shown.contains("PUSH_ARTIFACT") && shown.contains("sent: status 204"),
        "{shown}"
    );
    server
        .cli_prints(&["webhook", "redeliver", &name, &id])
        .await;
    receiver.takes("/cli", 3, 20).await;
    server
        .cli_prints(&["webhook", "disable", &name, "hook"])
        .await;
    server
        .admin()
        .push_image(&project.repository("app"), "v2", &image("unsent"))
        .await;
    server
        .cli_prints(&["webhook", "enable", &name, "hook"])
        .await;
    let update = [
        "webhook",
        "update",
        &name,
        "hook",
        "--url",
        &url,
        "--events",
        "PUSH_ARTIFACT",
        "--tagged-only",
    ];
    server.cli_prints(&update).await;
    server
        .admin()
        .push_image(&project.repository("app"), "v3", &image("sent"))
        .await;
    let taken = receiver.takes("/cli", 4, 20).await;
    assert_eq!(taken[3].tag(), "v3");
    server
        .cli_prints(&["webhook", "delete", &name, "hook"])
        .await;
    assert_eq!(server.cli_prints(&["webhook", "list", &name]).await, "");
}
