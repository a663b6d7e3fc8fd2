//! What a registry does not do is said: what is wrong, and what to do about it. Wrong bytes complete nothing, and other
//! policies go on.

use serde_json::{Value, json};

use super::hostile::{Fault, Hostile};
use super::site::{
    BASIC, add, digest, ended, gantry, log, policy, pull, push, run, site, start, sum, tasks,
};
use crate::harness::{ADMIN_PASSWORD, Server, fresh, image};

const REGISTRIES: &str = "/api/v2.0/registries";
const PING: &str = "/api/v2.0/registries/ping";

/// What a registry's setting is answered with, as 400.
async fn refused(at: &Server, body: &Value) -> String {
    let answer = at.admin().post(REGISTRIES).json(body).await;
    let message = answer.expect(400).message();
    let pinged = at.admin().post(PING).json(body).await;
    assert_eq!(
        pinged.status,
        if body.get("credential").is_some() {
            pinged.status
        } else {
            400
        }
    );
    message
}

#[tokio::test]
async fn a_registry_that_cannot_be_used_is_not_added_and_the_answer_says_why() {
    let (here, there) = (site().await, site().await);
    let good = gantry(&there, "other");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let wrong = json!({"type": BASIC, "access_key": "admin", "access_secret": "wrong"});
    let message = refused(&here, &with("credential", wrong)).await;
    assert!(
        message.contains("refuses the credentials: check access key"),
        "{message}"
    );
    there.may_complain();

    let message = refused(&here, &with("ca_certificate", Value::Null)).await;
    assert!(
        message.contains("certificate that is not trusted"),
        "{message}"
    );
    assert!(message.contains("ca_certificate"), "{message}");

    let nobody = format!("https://127.0.0.1:{}", crate::harness::free_port());
    let message = refused(&here, &with("url", json!(nobody))).await;
    assert!(message.contains("cannot be reached"), "{message}");

    let message = refused(&here, &with("url", json!("other.example"))).await;
    assert!(message.contains("url: must be https://"), "{message}");
    let message = refused(&here, &with("type", json!("zzz"))).await;
    assert!(message.contains("is not supported"), "{message}");

    // Where nothing may connect, nothing is added.
    let guarded = Server::start().await;
    let message = refused(&guarded, &good).await;
    assert!(message.contains("[outgoing] allow"), "{message}");
    let listed = here.admin().get(REGISTRIES).await.expect(200);
    assert_eq!(listed.json(), json!([]));
}

#[tokio::test]
async fn secrets_are_hidden_kept_and_dropped_with_another_url() {
    let (here, there) = (site().await, site().await);
    let id = add(&here, &gantry(&there, "other")).await;
    let path = format!("{REGISTRIES}/{id}");
    let admin = here.admin();
    let shown = admin.get(&path).await.expect(200);
    assert!(!shown.text().contains(ADMIN_PASSWORD));
    let shown = shown.json();
    assert_eq!(shown["credential"]["access_secret"], "*****");
    assert_eq!(
        (&shown["status"], &shown["name"]),
        (&json!("healthy"), &json!("other"))
    );
    let taken = admin.post(REGISTRIES).json(&gantry(&there, "other")).await;
    taken.expect_error(409, "CONFLICT");
    // What is left out stays, the secret too.
    let change = json!({"description": "kept"});
    admin.put(&path).json(&change).await.expect(200);
    admin.post(PING).json(&json!({"id": id})).await.expect(200);
    // It is not sent to another address.
    let elsewhere = json!({"url": format!("https://localhost:{}", there.port())});
    let refused = admin.put(&path).json(&elsewhere).await.expect(400);
    assert!(
        refused.message().contains("refuses the credentials"),
        "{}",
        refused.message()
    );
    let own = admin.get("/api/v2.0/registries/0").await.expect(200).json();
    assert_eq!(own["name"], "Local");
    there.may_complain();
}

/// A server with a policy that pulls from a registry with a fault, and the execution once it ended.
async fn pulled(fault: Fault) -> (Server, Hostile, Value, String) {
    let here = site().await;
    let app = image(&format!("{fault:?}"));
    let hostile = Hostile::start(&app, fault);
    let body = json!({"name": "hostile", "type": "docker-registry", "url": hostile.url});
    let from = add(&here, &body).await;
    let into = policy(&here, &pull("in", from, "broken/app")).await;
    let execution = start(&here, into).await;
    let shown = ended(&here, execution).await;
    let tasks = tasks(&here, execution).await;
    let text = log(&here, &tasks[0]).await;
    (
        here,
        hostile,
        shown,
        format!("{}\n{text}", tasks[0]["status_text"]),
    )
}

#[tokio::test]
async fn a_kind_that_the_other_registry_refuses_is_skipped() {
    let here = site().await;
    let project = here.private_project().await;
    let (app, left_out) = (project.repository("app"), project.repository("tmp/app"));
    let (taken, chart) = (image("taken"), image("chart"));
    for (repository, tag, image) in [
        (&app, "v1", &taken),
        (&app, "v2", &chart),
        (&left_out, "v1", &taken),
    ] {
        here.admin().push_image(repository, tag, image).await;
    }
    let there = Hostile::start(&image("there"), Fault::None);
    let body = json!({"name": "there", "type": "docker-registry", "url": there.url});
    let to = add(&here, &body).await;
    // It has all blobs, and takes all manifests but one.
    there.say(&format!("/v2/{app}/blobs/"), (200, ""), "");
    there.say(&format!("PUT /v2/{app}/manifests/"), (201, ""), "");
    let refusal = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"unsupported media type"}]}"#;
    let typed = "Content-Type: application/json\r\n";
    let refused = format!("PUT /v2/{app}/manifests/{}", chart.digest);
    there.say(&refused, (415, typed), refusal);
    let mut wanted = push("out", to, &format!("{}/**", project.name));
    let without = json!({"type": "name", "value": "*/tmp/**", "decoration": "excludes"});
    let filters = wanted["filters"].as_array_mut().expect("a list");
    filters.push(without);
    // An empty field of a form would leave nothing.
    let mut nothing = wanted.clone();
    nothing["filters"][1]["value"] = json!("");
    let path = "/api/v2.0/replication/policies";
    let answer = here.admin().post(path).json(&nothing).await.expect(400);
    let message = answer.message();
    assert!(message.contains("filters: the name filter"), "{message}");
    let out = policy(&here, &wanted).await;

    let execution = start(&here, out).await;
    assert_eq!(ended(&here, execution).await["status"], "Succeed");
    let tasks = tasks(&here, execution).await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!(sum(&tasks, "copied"), 1);
    let text = log(&here, &tasks[0]).await;
    assert!(
        text.contains("it is skipped") && text.contains("takes no artifacts of this kind"),
        "{text}"
    );
    assert!(there.asked(&refused) > 0);
    assert_eq!(
        there.asked(&format!("/v2/{left_out}/")),
        0,
        "it is excluded"
    );
}

#[tokio::test]
async fn what_is_attached_and_refused_keeps_no_tag_back() {
    let here = site().await;
    let project = here.private_project().await;
    let (app, charts) = (project.repository("app"), project.repository("charts"));
    let signed = image("signed");
    let signature = signed.about("signature", "application/vnd.example.signature");
    let admin = here.admin();
    admin.push_image(&app, "v1", &signed).await;
    admin.push_image(&app, &signature.digest, &signature).await;
    admin.push_image(&charts, "v1", &image("chart alone")).await;
    let there = Hostile::start(&image("there"), Fault::None);
    let body = json!({"name": "there", "type": "docker-registry", "url": there.url});
    let to = add(&here, &body).await;
    for repository in [&app, &charts] {
        there.say(&format!("/v2/{repository}/blobs/"), (200, ""), "");
    }
    there.say(&format!("PUT /v2/{app}/manifests/"), (201, ""), "");
    let refusal = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"unsupported media type"}]}"#;
    let refused = format!("PUT /v2/{app}/manifests/{}", signature.digest);
    for prefix in [&refused, &format!("PUT /v2/{charts}/manifests/")] {
        there.say(prefix, (415, "Content-Type: application/json\r\n"), refusal);
    }

    let out = policy(&here, &push("out", to, &app)).await;
    let execution = start(&here, out).await;
    assert_eq!(ended(&here, execution).await["status"], "Succeed");
    let done = tasks(&here, execution).await;
    let text = log(&here, &done[0]).await;
    assert!(there.asked(&refused) > 0, "{text}");
    assert!(
        text.contains("is attached to") && text.contains("it is skipped"),
        "{text}"
    );
    assert!(
        there.asked(&format!("PUT /v2/{app}/manifests/v1")) > 0,
        "{text}"
    );
    let said = done[0]["status_text"].as_str().unwrap_or_default();
    assert!(said.contains("skipped, whose kind"), "{said}");

    // A repository of which nothing is taken is no success.
    let out = policy(&here, &push("charts", to, &charts)).await;
    let execution = start(&here, out).await;
    assert_eq!(ended(&here, execution).await["status"], "Failed");
    let failed = tasks(&here, execution).await;
    let why = failed[0]["status_text"].as_str().unwrap_or_default();
    assert!(why.contains("nothing is copied"), "{why}");
}

#[tokio::test]
async fn wrong_bytes_complete_nothing() {
    let (here, _hostile, shown, text) = pulled(Fault::Lies).await;
    assert_eq!(shown["status"], "Failed");
    assert!(
        text.contains("sent other bytes than those of the blob"),
        "{text}"
    );
    assert_eq!(digest(&here, "broken/app", "v1").await, None);
}

#[tokio::test]
async fn truncated_bytes_complete_nothing_and_are_counted() {
    let (here, hostile, shown, text) = pulled(Fault::Truncates).await;
    assert_eq!(shown["status"], "Failed");
    assert!(text.contains(" bytes of the blob"), "{text}");
    assert!(hostile.asked("/blobs/") > 3, "the rest is asked for");
    assert_eq!(digest(&here, "broken/app", "v1").await, None);
}

#[tokio::test]
async fn a_redirect_inwards_is_refused_and_named() {
    let (here, _hostile, shown, text) = pulled(Fault::RedirectsInwards).await;
    assert_eq!(shown["status"], "Failed");
    assert!(text.contains("redirects to 169.254.169.254"), "{text}");
    assert!(text.contains("[outgoing] allow"), "{text}");
    assert_eq!(digest(&here, "broken/app", "v1").await, None);
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (here, hostile, shown, text) = pulled(Fault::BreaksOff).await;
    assert_eq!(shown["status"], "Succeed", "{text}");
    assert!(digest(&here, "broken/app", "v1").await.is_some());
    assert!(
        hostile.asked("/blobs/") >= 6,
        "each of three blobs is asked for twice"
    );
}

#[tokio::test]
async fn a_registry_that_fails_does_not_hold_up_another_policy() {
    let (here, there) = (site().await, site().await);
    let app = image("beside");
    let hostile = Hostile::start(&app, Fault::Answers(500));
    let body = json!({"name": "hostile", "type": "docker-registry", "url": hostile.url});
    let from = add(&here, &body).await;
    let into = policy(&here, &pull("in", from, "broken/app")).await;
    let failing = start(&here, into).await;
    let project = here.private_project().await;
    let repository = project.repository("app");
    here.admin().push_image(&repository, "v1", &app).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    assert_eq!(sum(&run(&here, out).await, "copied"), 1);
    // It waits and tries again meanwhile, and can be stopped.
    let path = format!("/api/v2.0/replication/executions/{failing}");
    here.admin().put(&path).await.expect(200);
    assert_eq!(ended(&here, failing).await["status"], "Stopped");
    here.admin().put(&path).await.expect(200);
    assert!(hostile.asked("/blobs/") >= 1);
}

#[tokio::test]
async fn a_full_target_says_so_and_failed_tasks_are_repeated() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    here.admin()
        .push_image(&repository, "v1", &image("full"))
        .await;
    let body = json!({"project_name": project.name, "storage_limit": 1_000, "metadata": {"public": "false"}});
    let made = there.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    let execution = start(&here, out).await;
    assert_eq!(ended(&here, execution).await["status"], "Failed");
    let failed = tasks(&here, execution).await;
    let why = failed[0]["status_text"].as_str().expect("a text");
    assert!(why.contains("has no room left: raise the quota"), "{why}");
    let id = there
        .admin()
        .get(&format!("/api/v2.0/projects/{}", project.name))
        .await
        .expect(200)
        .json()["project_id"]
        .clone();
    let quotas = there
        .admin()
        .get(&format!(
            "/api/v2.0/quotas?reference=project&reference_id={id}"
        ))
        .await;
    let quota = quotas.expect(200).json()[0]["id"].clone();
    let body = json!({"hard": {"storage": -1}});
    let path = format!("/api/v2.0/quotas/{quota}");
    there.admin().put(&path).json(&body).await.expect(200);
    let path = format!("/api/ext/v1/replication/executions/{execution}/retry");
    let again = here.admin().post(&path).await.expect(201).location();
    let again = again.rsplit('/').next().and_then(|id| id.parse().ok());
    let again = again.expect("an execution");
    assert_eq!(ended(&here, again).await["status"], "Succeed");
    here.admin()
        .post(&format!("/api/ext/v1/replication/executions/{again}/retry"))
        .await
        .expect_error(412, "PRECONDITION");
}

#[tokio::test]
async fn attachments_of_attachments_end_and_the_log_says_so() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let mut last = image("deep");
    here.admin().push_image(&repository, "v1", &last).await;
    for level in 0..12 {
        last = last.about(&format!("level {level}"), "application/vnd.example.deep");
        here.admin()
            .push_image(&repository, &last.digest, &last)
            .await;
    }
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &push("out", to, &repository)).await;
    let execution = start(&here, out).await;
    assert_eq!(ended(&here, execution).await["status"], "Failed");
    let failed = tasks(&here, execution).await;
    let text = log(&here, &failed[0]).await;
    assert!(text.contains("lists or attachments deep"), "{text}");
    assert_eq!(digest(&there, &repository, "v1").await, None);
}

#[tokio::test]
async fn only_who_may_administer_replication_sees_it() {
    let here = site().await;
    let name = fresh("person");
    here.create_user(&name).await;
    let person = here.as_user(&name);
    for path in [
        REGISTRIES,
        "/api/v2.0/replication/policies",
        "/api/v2.0/replication/executions",
        "/api/v2.0/replication/adapters",
    ] {
        person.get(path).await.expect_error(403, "FORBIDDEN");
        here.anonymous()
            .get(path)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    let kinds = here.admin().get("/api/v2.0/replication/adapters").await;
    let kinds = kinds.expect(200).json();
    assert!(kinds.as_array().expect("a list").contains(&json!("harbor")));
}
