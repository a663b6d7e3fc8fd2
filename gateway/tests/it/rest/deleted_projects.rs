//! What is left of deleted projects: who may delete them, how they are restored, and who reads their history.

use serde_json::{Value, json};

use crate::harness::{Role, Server, fresh};

const PROJECTS: &str = "/api/v2.0/projects";
const DELETED: &str = "/api/ext/v1/deleted-projects";
const SETTINGS: &str = "/api/v2.0/configurations";

#[tokio::test]
async fn a_deleted_project_is_restored_with_its_members_and_settings() {
    let server = Server::start().await;
    let admin = server.admin();
    let project = server.private_project().await;
    let (name, path) = (&project.name, format!("{PROJECTS}/{}", project.name));
    let head = project.member(Role::ProjectAdmin).await;
    let guest = project.member(Role::Guest).await;
    let gone = project.member(Role::Developer).await;
    let settings = json!({ "metadata": { "auto_scan": "true" } });
    head.put(&path).json(&settings).await.expect(200);
    let label = json!({ "name": "kept", "scope": "p" });
    let id = head.get(&path).await.expect(200).json()["project_id"].clone();
    let mut label = label;
    label["project_id"] = id.clone();
    head.post("/api/v2.0/labels").json(&label).await.expect(201);
    let robot = json!({ "name": "ci", "level": "project", "duration": -1, "permissions": [
        { "kind": "project", "namespace": name, "access": [{ "resource": "repository", "action": "pull" }] }] });
    head.post("/api/v2.0/robots").json(&robot).await.expect(201);

    let restore = format!("{DELETED}/{id}/restore");
    admin.post(&restore).await.expect_error(404, "NOT_FOUND");
    head.delete(&path).await.expect(200);
    for other in [&head, &guest] {
        other.get(DELETED).await.expect_error(403, "FORBIDDEN");
        other.post(&restore).await.expect_error(403, "FORBIDDEN");
    }
    let listed = admin
        .get(&format!("{DELETED}?q=name%3D{name}"))
        .await
        .expect(200);
    assert_eq!(listed.header("x-total-count"), "1");
    let listed = listed.json();
    assert_eq!(
        (&listed[0]["project_id"], &listed[0]["name_taken"]),
        (&id, &json!(false))
    );
    assert!(listed[0]["restorable_until"].as_str() > listed[0]["deletion_time"].as_str());

    // A new project of the name is another one.
    let taken = json!({ "project_name": name });
    admin.post(PROJECTS).json(&taken).await.expect(201);
    let refused = admin.post(&restore).await.expect_error(409, "CONFLICT");
    assert!(refused.message().contains(name.as_str()), "{refused}");
    guest.get(&path).await.expect_error(403, "FORBIDDEN");
    admin.delete(&path).await.expect(200);
    let user = gone.get("/api/v2.0/users/current").await.expect(200).json();
    let user = format!("/api/v2.0/users/{}", user["user_id"]);
    admin.delete(&user).await.expect(200);

    let restored = admin.post(&restore).await.expect(200).json();
    assert_eq!(restored, json!({ "name": name, "project_id": id }));
    admin.post(&restore).await.expect_error(404, "NOT_FOUND");
    let shown = guest.get(&path).await.expect(200).json();
    assert_eq!(
        (&shown["project_id"], &shown["metadata"]["auto_scan"]),
        (&id, &json!("true"))
    );
    let members = admin
        .get(&format!("{path}/members"))
        .await
        .expect(200)
        .json();
    let members = members.as_array().expect("a list").iter();
    let mut members: Vec<&str> = members
        .filter_map(|it| it["entity_name"].as_str())
        .collect();
    members.sort_unstable();
    let mut expected = vec!["admin", head.name(), guest.name()];
    expected.sort_unstable();
    assert_eq!(members, expected, "without whoever was deleted meanwhile");
    let labels = format!("/api/v2.0/labels?scope=p&project_id={id}");
    let labels = head.get(&labels).await.expect(200).json();
    assert_eq!(labels[0]["name"], "kept");
    let robots = format!("/api/v2.0/robots?q=Level%3Dproject%2CProjectID%3D{id}");
    assert_eq!(head.get(&robots).await.expect(200).json(), json!([]));
    head.push_image(
        &project.repository("app"),
        "v1",
        &crate::harness::image("again"),
    )
    .await;
}

#[tokio::test]
async fn a_deletion_may_be_for_administrators_and_restored_by_the_command_line() {
    let server = Server::start().await;
    let admin = server.admin();
    let project = server.private_project().await;
    let path = format!("{PROJECTS}/{}", project.name);
    let head = project.member(Role::ProjectAdmin).await;
    let set = async |settings: Value| {
        admin.put(SETTINGS).json(&settings).await.expect(200);
    };
    set(json!({ "project_deletion_restriction": "adminonly" })).await;
    for refused in [
        head.delete(&path).await,
        head.get(&format!("{path}/_deletable")).await,
    ] {
        let refused = refused.expect_error(403, "FORBIDDEN");
        assert!(
            refused.message().contains("system administrators"),
            "{refused}"
        );
    }
    admin.delete(&path).await.expect(200);
    let listed = server.cli_prints(&["project", "deleted", "--json"]).await;
    let listed: Value = serde_json::from_str(listed.trim()).expect("a line of JSON");
    assert_eq!(listed["name"], *project.name);
    let id = listed["id"].to_string();
    set(json!({ "project_restore_days": 0 })).await;
    assert_eq!(admin.get(DELETED).await.expect(200).json(), json!([]));
    let late = server.cli(&["project", "restore", &id]).await;
    assert!(!late.status.success(), "{late:?}");
    set(json!({ "project_restore_days": 30 })).await;
    let done = server.cli_prints(&["project", "restore", &id]).await;
    assert!(done.contains("is restored"), "{done}");
    head.get(&path).await.expect(200);
    let wrong = json!({ "project_deletion_restriction": "nobody" });
    let wrong = admin.put(SETTINGS).json(&wrong).await;
    wrong.expect_error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn whoever_could_read_a_projects_events_reads_them_after_its_deletion() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let path = format!("{PROJECTS}/{}", project.name);
    let head = project.member(Role::ProjectAdmin).await;
    let other_head = project.member(Role::ProjectAdmin).await;
    let developer = project.member(Role::Developer).await;
    let stranger = server.stranger().await;
    let id = head.get(&path).await.expect(200).json()["project_id"].clone();
    let settings = json!({ "metadata": { "auto_scan": "true" } });
    other_head.put(&path).json(&settings).await.expect(200);
    head.delete(&path).await.expect(200);
    // A new one of the name is none of theirs.
    let admin = server.admin();
    let new = json!({ "project_name": project.name });
    admin.post(PROJECTS).json(&new).await.expect(201);
    let other = fresh("label");
    let new_id = admin.get(&path).await.expect(200).json()["project_id"].clone();
    let label = json!({ "name": other, "scope": "p", "project_id": new_id });
    admin
        .post("/api/v2.0/labels")
        .json(&label)
        .await
        .expect(201);

    let of_project = format!("/api/v2.0/auditlog-exts?page_size=100&q=project_id%3D{id}");
    let seen = async |caller: &crate::harness::Client| {
        let entries = caller.get(&of_project).await.expect(200).json();
        let entries = entries.as_array().expect("a list").iter();
        let seen = entries.map(|it| format!("{} {}", it["operation"], it["resource_type"]));
        seen.collect::<Vec<String>>()
    };
    let by_head = seen(&head).await;
    assert!(
        by_head.contains(&r#""update" "project""#.to_owned()),
        "{by_head:?}"
    );
    assert!(
        by_head.contains(&r#""delete" "project""#.to_owned()),
        "{by_head:?}"
    );
    assert_eq!(seen(&other_head).await, by_head);
    for nobody in [&developer, &stranger] {
        let own = seen(nobody).await;
        assert!(own.iter().all(|it| !it.contains("project")), "{own:?}");
    }
    let all = head
        .get("/api/v2.0/auditlog-exts?page_size=100")
        .await
        .expect(200)
        .text();
    assert!(!all.contains(&other), "{all}");
}
