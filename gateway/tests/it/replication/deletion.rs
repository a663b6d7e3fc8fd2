//! What is deleted at a destination, and what never is; and who gets credentials.

use serde_json::{Value, json};

use super::hostile::{Fault, Hostile};
use super::site::{
    BASIC, add, digest, ended, gantry, log, policy, pull, push, run, site, start, sum, tasks,
};
use crate::harness::image;

const JSON: &str = "Content-Type: application/json\r\n";

fn deleting(mut wanted: Value) -> Value {
    wanted["deletion"] = json!(true);
    wanted
}

#[tokio::test]
async fn only_the_registrys_own_word_deletes_what_was_copied_from_it() {
    let here = site().await;
    let app = image("word");
    let hostile = Hostile::start(&app, Fault::None);
    let body = json!({"name": "source", "type": "docker-registry", "url": hostile.url});
    let from = add(&here, &body).await;
    let into = policy(&here, &deleting(pull("in", from, "broken/app"))).await;
    assert_eq!(sum(&run(&here, into).await, "copied"), 1);
    let there = async || digest(&here, "broken/app", "v1").await;

    // Something that stands in its place.
    hostile.say("/", (404, ""), "default backend - 404");
    let shown = ended(&here, start(&here, into).await).await;
    assert_eq!(shown["status"], "Failed", "{shown:#}");
    let why = shown["status_text"].as_str().expect("a text");
    assert!(why.contains("without the error of a registry"), "{why}");
    assert_eq!(there().await.as_ref(), Some(&app.digest));

    // An installation anew, which has nothing.
    hostile.unsay();
    let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}"#;
    hostile.say("/v2/broken/", (404, JSON), unknown);
    hostile.say("/v2/_catalog", (200, JSON), r#"{"repositories":[]}"#);
    let done = run(&here, into).await;
    assert_eq!(sum(&done, "deleted"), 0);
    let text = log(&here, &done[0]).await;
    assert!(text.contains("nothing is deleted"), "{text}");
    assert_eq!(there().await.as_ref(), Some(&app.digest));

    // A tag that was deleted.
    hostile.say("/v2/_catalog", (200, JSON), r#"{"repositories":["other"]}"#);
    assert_eq!(sum(&run(&here, into).await, "deleted"), 1);
    assert_eq!(there().await, None);
}

#[tokio::test]
async fn what_the_destination_had_is_not_the_policys_to_delete() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let (both, copied) = (image("both"), image("copied"));
    let body = json!({"project_name": project.name, "metadata": {"public": "false"}});
    let made = there.admin().post("/api/v2.0/projects").json(&body).await;
    made.expect(201);
    for at in [&here, &there] {
        at.admin().push_image(&repository, "v1", &both).await;
    }
    here.admin().push_image(&repository, "v2", &copied).await;
    here.admin().push_image(&repository, "stays", &both).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &deleting(push("out", to, &repository))).await;
    let first = run(&here, out).await;
    assert_eq!((sum(&first, "copied"), sum(&first, "present")), (2, 1));
    for tag in ["v1", "v2"] {
        let path = format!("/v2/{repository}/manifests/{tag}");
        here.admin().delete(&path).await.expect(202);
    }
    assert_eq!(sum(&run(&here, out).await, "deleted"), 1);
    assert_eq!(digest(&there, &repository, "v2").await, None);
    assert_eq!(digest(&there, &repository, "v1").await, Some(both.digest));
}

#[tokio::test]
async fn notes_are_forgotten_when_a_policy_is_turned_round() {
    let (here, there) = (site().await, site().await);
    let project = here.private_project().await;
    let repository = project.repository("app");
    let app = image("turned");
    here.admin().push_image(&repository, "v1", &app).await;
    let to = add(&here, &gantry(&there, "other")).await;
    let out = policy(&here, &deleting(push("way", to, &repository))).await;
    assert_eq!(sum(&run(&here, out).await, "copied"), 1);
    // Something stays there, so that its word counts.
    there
        .admin()
        .push_image(&repository, "other", &image("other"))
        .await;
    let path = format!("/v2/{repository}/manifests/v1");
    there.admin().delete(&path).await.expect(202);
    let turned = deleting(pull("way", to, &repository));
    let path = format!("/api/v2.0/replication/policies/{out}");
    here.admin().put(&path).json(&turned).await.expect(200);
    run(&here, out).await;
    let found = digest(&here, &repository, "v1").await;
    assert_eq!(found, Some(app.digest), "the original was never a copy");
}

#[tokio::test]
async fn credentials_go_to_the_registry_alone_and_once() {
    let here = site().await;
    let app = image("credentials");
    let (registry, thief) = (
        Hostile::start(&app, Fault::None),
        Hostile::start(&app, Fault::None),
    );
    registry.say("/api/version", (200, JSON), r#"{"version":"v2.0"}"#);
    registry.say("/api/v2.0/", (200, JSON), "[]");
    let body = json!({
        "name": "harbor", "type": "harbor", "url": registry.url,
        "credential": {"type": BASIC, "access_key": "robot", "access_secret": "secret"},
    });
    let from = add(&here, &body).await;
    let into = policy(&here, &pull("in", from, "broken/**")).await;
    let shown = ended(&here, start(&here, into).await).await;
    assert_eq!(shown["status"], "Succeed", "{shown:#}");
    assert!(registry.asked("/repositories?page=1&page_size=100 HTTP/1.1 with 1 ") >= 1);
    assert_eq!(registry.asked("with 2 "), 0);

    thief.say("/", (200, JSON), "[]");
    let to = format!("Location: {}/taken\r\n", thief.url);
    registry.say("/api/v2.0/", (307, &to), "");
    let tasks_before = tasks(&here, start(&here, into).await).await;
    assert_eq!(tasks_before, Vec::<Value>::new());
    crate::harness::eventually(30, "it is redirected", async || {
        (thief.asked("/taken") > 0).then_some(())
    })
    .await;
    assert_eq!(
        thief.asked("/taken HTTP/1.1 with 0 "),
        thief.asked("/taken")
    );
}
