//! Labels of the installation and of projects, and labels on artifacts.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Client, Role, fresh, image};

const LABELS: &str = "/api/v2.0/labels";

async fn make(caller: &Client, body: Value) -> String {
    caller.post(LABELS).json(&body).await.expect(201).location()
}

fn id_of(location: &str) -> i64 {
    let (_, id) = location.rsplit_once('/').expect("it has parts");
    id.parse().expect("an ID is a number")
}

#[tokio::test]
async fn a_label_is_made_read_listed_changed_and_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = project.member(Role::Maintainer).await;
    let body =
        json!({ "name": "plabel", "color": "#00FF00", "scope": "p", "project_id": project.id });
    let label = make(&person, body.clone()).await;
    assert!(label.starts_with("/api/v2.0/labels/"), "{label}");
    let read = person.get(&label).await.expect(200).json();
    let times = ["creation_time", "update_time"].map(|name| read[name].clone());
    assert_eq!(times[0], times[1]);
    assert_eq!(
        read,
        json!({ "id": id_of(&label), "name": "plabel", "color": "#00FF00", "scope": "p",
            "project_id": project.id, "creation_time": times[0], "update_time": times[1] })
    );
    let of_project = format!("{LABELS}?scope=p&project_id={}", project.id);
    let list = person.get(&of_project).await.expect(200);
    assert_eq!(list.header("x-total-count"), "1");
    assert_eq!(list.json(), json!([read]));
    let again = person.post(LABELS).json(&body).await;
    assert_eq!(
        again.expect_error(409, "CONFLICT").message(),
        "label plabel already exists"
    );
    let changed = json!({ "name": "other", "description": "d", "color": "" });
    person.put(&label).json(&changed).await.expect(200);
    let read = person.get(&label).await.expect(200).json();
    assert_eq!(
        (&read["name"], &read["description"]),
        (&json!("other"), &json!("d"))
    );
    assert_eq!(read["color"], Value::Null);
    person.delete(&label).await.expect(200);
    let gone = server
        .admin()
        .get(&label)
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(gone.message(), format!("label {} not found", id_of(&label)));
    let events = format!(
        "/api/v2.0/projects/{}/auditlog-exts?q=resource_type%3Dlabel",
        project.name
    );
    let events = server.admin().get(&events).await.expect(200).json();
    let told: Vec<&str> = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["operation"].as_str().expect("a text"))
        .collect();
    assert_eq!(told, ["delete", "update", "create"]);
}

#[tokio::test]
async fn labels_of_the_installation_are_seen_by_all_and_made_by_system_administrators() {
    let server = SERVER.get().await;
    let (admin, stranger) = (server.admin(), server.stranger().await);
    let name = fresh("global");
    let label = make(
        &admin,
        json!({ "name": name, "scope": "g", "project_id": 7 }),
    )
    .await;
    let found = format!("{LABELS}?scope=g&name={name}");
    for caller in [&stranger, &server.anonymous()] {
        let list = caller.get(&found).await.expect(200).json();
        assert_eq!(
            (&list[0]["name"], &list[0]["scope"]),
            (&json!(name), &json!("g"))
        );
        assert_eq!(list[0]["project_id"], Value::Null);
    }
    let body = json!({ "name": fresh("x"), "scope": "g" });
    stranger
        .post(LABELS)
        .json(&body)
        .await
        .expect_error(403, "FORBIDDEN");
    stranger.get(&label).await.expect_error(403, "FORBIDDEN");
    // What is hidden and what is not there look the same.
    let absent = format!("{LABELS}/99999999");
    let hidden = stranger.get(&label).await;
    assert_eq!(stranger.get(&absent).await.body, hidden.body);
    admin.get(&absent).await.expect_error(404, "NOT_FOUND");
    admin.delete(&label).await.expect(200);
}

#[tokio::test]
async fn what_no_label_can_be_is_refused_by_name() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let id = project.id;
    for (body, named) in [
        (json!({ "scope": "g" }), "name"),
        (json!({ "name": "a".repeat(129), "scope": "g" }), "name"),
        (
            json!({ "name": "x", "scope": "p", "project_id": id, "color": "red" }),
            "color",
        ),
        (json!({ "name": "x", "scope": "z" }), "scope"),
        (json!({ "name": "x", "scope": "p" }), "project"),
    ] {
        let answer = admin.post(LABELS).json(&body).await;
        let answer = answer.expect_error(400, "BAD_REQUEST");
        assert!(answer.message().contains(named), "{body}: {answer}");
    }
    let absent = json!({ "name": "x", "scope": "p", "project_id": 99_999_999 });
    admin
        .post(LABELS)
        .json(&absent)
        .await
        .expect_error(404, "NOT_FOUND");
    server
        .stranger()
        .await
        .post(LABELS)
        .json(&absent)
        .await
        .expect_error(403, "FORBIDDEN");
    let missing = admin.get(LABELS).await.expect_error(400, "BAD_REQUEST");
    assert_eq!(missing.message(), "invalid scope: ");
}

#[tokio::test]
async fn an_artifact_has_labels_of_its_project_and_of_the_installation_and_no_others() {
    let server = SERVER.get().await;
    let (project, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let person = project.member(Role::Developer).await;
    let admin = server.admin();
    let repository = project.repository("team/app");
    let pushed = image(&repository);
    person.push_image(&repository, "v1", &pushed).await;
    let of = |id: u64| json!({ "name": fresh("label"), "scope": "p", "project_id": id });
    let own = id_of(&make(&admin, of(project.id)).await);
    let foreign = id_of(&make(&admin, of(other.id)).await);
    let global = id_of(&make(&admin, json!({ "name": fresh("global"), "scope": "g" })).await);
    let artifacts = format!(
        "/api/v2.0/projects/{}/repositories/team%252Fapp/artifacts",
        project.name
    );
    let labels = format!("{artifacts}/v1/labels");
    let add = async |id: i64| person.post(&labels).json(&json!({ "id": id })).await;
    add(own).await.expect(200);
    add(own).await.expect_error(409, "CONFLICT");
    add(global).await.expect(200);
    add(foreign).await.expect_error(404, "NOT_FOUND");
    let missing = add(99_999_999).await.expect_error(404, "NOT_FOUND");
    assert_eq!(missing.message(), "label 99999999 not found");
    person
        .post(&labels)
        .json(&json!({}))
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
    person
        .post(&format!("{artifacts}/v9/labels"))
        .json(&json!({ "id": own }))
        .await
        .expect_error(404, "NOT_FOUND");
    // By its digest it is the same artifact.
    let by_digest = format!("{artifacts}/{}/labels", pushed.digest);
    person
        .delete(&format!("{by_digest}/{own}"))
        .await
        .expect(200);
    person
        .delete(&format!("{labels}/{own}"))
        .await
        .expect_error(404, "NOT_FOUND");
    // A label that is deleted is on no artifact any more.
    admin
        .delete(&format!("{LABELS}/{global}"))
        .await
        .expect(200);
    person
        .delete(&format!("{labels}/{global}"))
        .await
        .expect_error(404, "NOT_FOUND");
    add(own).await.expect(200);
    person
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_command_line_does_the_same() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let repository = project.repository("app");
    server
        .admin()
        .push_image(&repository, "v1", &image(&repository))
        .await;
    let name = &*project.name;
    let create = [
        "label",
        "create",
        "stable",
        "--project",
        name,
        "--color",
        "#123456",
    ];
    server.cli_prints(&create).await;
    server
        .cli_prints(&[
            "label",
            "set",
            "stable",
            "--project",
            name,
            "--rename",
            "old",
        ])
        .await;
    let listed = server
        .cli_prints(&["label", "list", "--project", name, "--json"])
        .await;
    let label: Value = serde_json::from_str(&listed).expect("it is JSON");
    assert_eq!(
        (&label["name"], &label["color"]),
        (&json!("old"), &json!("#123456"))
    );
    server
        .cli_prints(&["label", "add", &repository, "v1", "old"])
        .await;
    let again = server
        .cli(&["label", "add", &repository, "v1", "old"])
        .await;
    assert_eq!(again.status.code(), Some(1));
    server
        .cli_prints(&["label", "remove", &repository, "v1", "old"])
        .await;
    server
        .cli_prints(&["label", "delete", "old", "--project", name])
        .await;
    let gone = server
        .cli_prints(&["label", "list", "--project", name])
        .await;
    assert_eq!(gone, "");
}

#[tokio::test]
async fn artifacts_show_their_labels_and_are_found_by_them() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("app");
    for tag in ["v1", "v2", "v3"] {
        let image = image(&fresh("labelled"));
        admin.push_image(&repository, tag, &image).await;
    }
    let rest = format!("/projects/{}/repositories/app", project.name);
    let artifacts = format!("/api/v2.0{rest}/artifacts");
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let body = json!({ "name": name, "scope": "p", "project_id": project.id });
        ids.push(id_of(&make(&admin, body).await));
    }
    for (tag, label) in [("v1", ids[0]), ("v1", ids[1]), ("v2", ids[1])] {
        let path = format!("{artifacts}/{tag}/labels");
        let added = admin.post(&path).json(&json!({ "id": label })).await;
        added.expect(200);
    }
    let named = |artifact: &Value| -> Vec<String> {
        let labels = artifact["labels"].as_array().into_iter().flatten();
        labels
            .map(|label| label["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let first = admin.get(&format!("{artifacts}/v1?with_label=true")).await;
    assert_eq!(named(&first.expect(200).json()), ["one", "two"]);
    let plain = admin.get(&format!("{artifacts}/v1")).await.expect(200);
    assert_eq!(plain.json()["labels"], Value::Null);
    let found = async |q: &str| {
        let page = admin.get(&format!("{artifacts}?q=labels%3D{q}")).await;
        let page = page.expect(200);
        let count = page.json().as_array().map_or(0, Vec::len);
        assert_eq!(page.header("x-total-count"), count.to_string());
        count
    };
    let both = format!("({}%20{})", ids[0], ids[1]);
    for (q, expected) in [
        (ids[0].to_string(), 1),
        (ids[1].to_string(), 2),
        (both, 1),
        ("999999".to_owned(), 0),
    ] {
        assert_eq!(found(&q).await, expected, "{q}");
    }
    let overview = admin.get(&format!("/api/ext/v1{rest}/tags?sort=name"));
    let overview = overview.await.expect(200).json();
    let rows: Vec<_> = overview
        .as_array()
        .into_iter()
        .flatten()
        .map(named)
        .collect();
    assert_eq!(
        rows,
        [
            vec!["one".to_owned(), "two".to_owned()],
            vec!["two".to_owned()],
            vec![]
        ]
    );
}
