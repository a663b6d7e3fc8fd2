//! One action on many things.

use serde_json::{Value, json};

use crate::harness::{Client, Role, Server, image};

async fn bulk(client: &Client, body: Value) -> Value {
    let answer = client.post("/api/ext/v1/bulk").json(&body).await;
    answer.expect(200).json()
}

fn statuses(answer: &Value) -> Vec<i64> {
    let results = answer["results"].as_array().expect("results are a list");
    let status = |result: &Value| result["status"].as_i64().expect("a status is a number");
    results.iter().map(status).collect()
}

pub(super) async fn artifacts_and_tags(server: &Server) {
    let team = server.private_project().await;
    let person = team.member(Role::Maintainer).await;
    let repository = team.repository("app");
    let images = ["one", "two", "three"].map(|name| image(&format!("bulk {name}")));
    for (number, image) in images.iter().enumerate() {
        person
            .push_image(&repository, &format!("v{number}"), image)
            .await;
    }
    person.push_image(&repository, "also", &images[0]).await;
    let named = |reference: &str| format!("{repository}{reference}");
    let first = named(&format!("@{}", images[0].digest));
    let second = named(&format!("@{}", images[1].digest));
    let items = json!([first, second, named(":v2"), named(":none"), "nonsense"]);
    let answer = bulk(
        &person,
        json!({ "action": "delete_artifacts", "items": items }),
    )
    .await;
    // Both digests have tags, which their names do not say.
    assert_eq!(statuses(&answer), [412, 412, 200, 404, 400], "{answer}");
    let message = answer["results"][0]["message"].as_str().expect("text");
    assert!(
        message.contains("also, v0") && message.contains("force"),
        "{message}"
    );
    assert_eq!(
        (&answer["done"], &answer["results"][2]["tags"]),
        (&json!(1), &json!(["v2"]))
    );
    let answer = bulk(
        &person,
        json!({ "action": "delete_tags", "items": [named(":also"), named(":also")] }),
    )
    .await;
    assert_eq!(statuses(&answer), [200, 404]);
    let forced = json!({ "action": "delete_artifacts", "items": [first], "force": true });
    let answer = bulk(&person, forced).await;
    assert_eq!(answer["results"][0]["tags"], json!(["v0"]));
    let tags = person
        .get(&format!("/v2/{repository}/tags/list"))
        .await
        .expect(200)
        .json();
    assert_eq!(tags["tags"], json!(["v1"]));
    // Each has an event of its own.
    let events = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=operation=delete",
        team.name
    );
    let events = server.admin().get(&events).await.expect(200);
    assert_eq!(events.header("x-total-count"), "3");
    for wrong in [
        json!({ "action": "explode", "items": ["team/app"] }),
        json!({ "action": "delete_tags", "items": [] }),
        json!({ "action": "delete_tags", "items": vec!["team/app:v1"; 101] }),
        json!({ "action": "add_label", "items": ["team/app:v1"] }),
    ] {
        let refused = person.post("/api/ext/v1/bulk").json(&wrong).await;
        refused.expect_error(422, "UNPROCESSABLE_ENTITY");
    }
}

pub(super) async fn each_under_its_own_permit(server: &Server) {
    let (own, hidden) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = server.admin();
    for project in [&own, &hidden] {
        let repository = project.repository("app");
        admin.push_image(&repository, "v1", &image("mixed")).await;
    }
    let person = own.member(Role::Maintainer).await;
    let items = [
        own.repository("app:v1"),
        hidden.repository("app:v1"),
        "nowhere/app:v1".to_owned(),
    ];
    let answer = bulk(&person, json!({ "action": "delete_tags", "items": items })).await;
    assert_eq!(statuses(&answer), [200, 403, 403]);
    let messages: Vec<&Value> = (1..3).map(|at| &answer["results"][at]["message"]).collect();
    assert_eq!(
        messages[0], messages[1],
        "a hidden project is like a missing one"
    );
    let kept = format!("/v2/{}/manifests/v1", hidden.repository("app"));
    admin.get(&kept).await.expect(200);
    let developer = own.member(Role::Developer).await;
    let body = json!({ "action": "delete_repositories", "items": [own.repository("app")] });
    assert_eq!(statuses(&bulk(&developer, body).await), [403]);
    let refused = server
        .anonymous()
        .post("/api/ext/v1/bulk")
        .json(&json!({}))
        .await;
    refused.expect_error(401, "UNAUTHORIZED");
}

pub(super) async fn labels_and_repositories(server: &Server) {
    let team = server.private_project().await;
    let person = team.member(Role::Maintainer).await;
    let repositories = ["one", "two"].map(|name| team.repository(name));
    for repository in &repositories {
        person
            .push_image(repository, "v1", &image("labelled"))
            .await;
    }
    let label = json!({ "name": "stable", "scope": "p", "project_id": team.id });
    let label = person
        .post("/api/v2.0/labels")
        .json(&label)
        .await
        .expect(201)
        .location();
    let (_, id) = label.rsplit_once('/').expect("it has parts");
    let id: i64 = id.parse().expect("an ID is a number");
    let items: Vec<String> = repositories
        .iter()
        .map(|name| format!("{name}:v1"))
        .collect();
    let with = |action: &str| json!({ "action": action, "items": items, "label_id": id });
    assert_eq!(
        statuses(&bulk(&person, with("add_label")).await),
        [200, 200]
    );
    assert_eq!(
        statuses(&bulk(&person, with("add_label")).await),
        [409, 409]
    );
    let path = format!("/api/v2.0/projects/{}/artifacts?q=labels=({id})", team.name);
    assert_eq!(
        person.get(&path).await.expect(200).header("x-total-count"),
        "2"
    );
    assert_eq!(
        statuses(&bulk(&person, with("remove_label")).await),
        [200, 200]
    );
    let delete = json!({ "action": "delete_repositories", "items": repositories });
    assert_eq!(statuses(&bulk(&person, delete.clone()).await), [200, 200]);
    assert_eq!(statuses(&bulk(&person, delete).await), [404, 404]);
}
