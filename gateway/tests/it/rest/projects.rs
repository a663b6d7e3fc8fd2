//! Projects: create, list, read, change, delete.

use serde_json::{Value, json};

use super::SERVER;
use crate::harness::{Role, fresh, image};

const PROJECTS: &str = "/api/v2.0/projects";

fn named(name: &str) -> Value {
    json!({ "project_name": name })
}

#[tokio::test]
async fn whoever_creates_a_project_administers_it() {
    let server = SERVER.get().await;
    let (person, name) = (server.stranger().await, fresh("created"));
    let created = person.post(PROJECTS).json(&named(&name)).await.expect(201);
    let project = person.get(&created.location()).await.expect(200).json();
    assert_eq!(
        (&project["name"], &project["owner_name"]),
        (&json!(name), &json!(person.name()))
    );
    assert_eq!(
        project["metadata"]["public"], "false",
        "private unless asked otherwise"
    );
    assert_eq!(
        (&project["repo_count"], &project["current_user_role_id"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(project["current_user_role_ids"], json!([1]));
    for key in [
        "project_id",
        "owner_id",
        "creation_time",
        "update_time",
        "cve_allowlist",
    ] {
        assert!(project.get(key).is_some(), "no {key}: {project}");
    }
    let members = person
        .get(&format!("{PROJECTS}/{name}/members"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&members[0]["entity_name"], &members[0]["role_id"]),
        (&json!(person.name()), &json!(1))
    );
}

#[tokio::test]
async fn a_location_can_name_the_project() {
    let server = SERVER.get().await;
    let name = fresh("location");
    let request = server.admin();
    let request = request
        .post(PROJECTS)
        .header("x-resource-name-in-location", "true")
        .json(&named(&name));
    assert_eq!(
        request.await.expect(201).location(),
        format!("{PROJECTS}/{name}")
    );
}

#[tokio::test]
async fn a_taken_name_is_409() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    for caller in [server.admin(), server.stranger().await] {
        let answer = caller
            .post(PROJECTS)
            .json(&named(&project.name))
            .await
            .expect_error(409, "CONFLICT");
        assert_eq!(
            answer.message(),
            format!("The project named {} already exists", project.name)
        );
    }
}

#[tokio::test]
async fn the_first_project_is_library() {
    let server = SERVER.get().await;
    let library = server
        .anonymous()
        .get(&format!("{PROJECTS}/library"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&library["project_id"], &library["metadata"]["public"]),
        (&json!(1), &json!("true"))
    );
    assert_eq!(library["owner_name"], "admin");
}

#[tokio::test]
async fn a_project_is_found_by_name_and_by_number() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let by_name = admin
        .get(&format!("{PROJECTS}/{}", project.name))
        .await
        .expect(200)
        .json();
    let by_number = admin
        .get(&format!("{PROJECTS}/{}", project.id))
        .await
        .expect(200)
        .json();
    assert_eq!(by_name, by_number);
    let number = format!("{}", 700_000_000 + project.id);
    admin.post(PROJECTS).json(&named(&number)).await.expect(201);
    admin
        .get(&format!("{PROJECTS}/{number}"))
        .await
        .expect_error(404, "NOT_FOUND");
    let named = admin
        .get(&format!("{PROJECTS}/{number}"))
        .header("x-is-resource-name", "true")
        .await
        .expect(200);
    assert_eq!(named.json()["name"], number);
}

#[tokio::test]
async fn a_missing_project_is_404_only_to_administrators() {
    let server = SERVER.get().await;
    let path = format!("{PROJECTS}/9999999");
    let answer = server
        .admin()
        .get(&path)
        .await
        .expect_error(404, "NOT_FOUND");
    assert_eq!(answer.message(), "project 9999999 not found");
    server
        .stranger()
        .await
        .get(&path)
        .await
        .expect_error(403, "FORBIDDEN");
    server
        .anonymous()
        .get(&path)
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn head_answers_for_projects_one_may_see() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let path = |name: &str| format!("{PROJECTS}?project_name={name}");
    server.admin().head(&path(&project.name)).await.expect(200);
    project
        .member(Role::Guest)
        .await
        .head(&path(&project.name))
        .await
        .expect(200);
    server
        .stranger()
        .await
        .head(&path(&project.name))
        .await
        .expect(404);
    server.admin().head(&path("nope")).await.expect(404);
    server
        .anonymous()
        .head(&path(&project.name))
        .await
        .expect(401);
    server.admin().head(PROJECTS).await.expect(422);
}

#[tokio::test]
async fn the_list_shows_what_one_may_see() {
    let server = SERVER.get().await;
    let (private, public) = (
        server.private_project().await,
        server.public_project().await,
    );
    let guest = private.member(Role::Guest).await;
    let sees = async |caller: &crate::harness::Client, query: &str| {
        let list = caller
            .get(&format!("{PROJECTS}?page_size=0{query}"))
            .await
            .expect(200);
        let text = list.text();
        (text.contains(&private.name), text.contains(&public.name))
    };
    assert_eq!(sees(&server.anonymous(), "").await, (false, true));
    assert_eq!(sees(&server.stranger().await, "").await, (false, true));
    assert_eq!(sees(&guest, "").await, (true, true));
    assert_eq!(sees(&server.admin(), "").await, (true, true));
    assert_eq!(sees(&guest, "&public=false").await, (true, false));
    assert_eq!(sees(&guest, "&public=true").await, (false, true));
    assert_eq!(
        sees(&server.anonymous(), "&public=false").await,
        (false, false)
    );
    assert_eq!(
        sees(&server.admin(), &format!("&name={}", private.name)).await,
        (true, false)
    );
    assert_eq!(
        sees(&server.admin(), &format!("&q=name%3D{}", private.name)).await,
        (true, false)
    );
    assert_eq!(sees(&server.admin(), "&owner=admin").await, (true, true));
    assert_eq!(sees(&server.admin(), "&owner=nobody").await, (false, false));
}

#[tokio::test]
async fn metadata_is_merged_and_the_name_stays() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, path) = (server.admin(), format!("{PROJECTS}/{}", project.name));
    let change = json!({ "project_name": "another", "metadata": { "auto_scan": "true" } });
    admin.put(&path).json(&change).await.expect(200);
    let changed = admin.get(&path).await.expect(200).json();
    assert_eq!(changed["name"], project.name);
    assert_eq!(
        changed["metadata"],
        json!({ "public": "false", "auto_scan": "true" })
    );
}

#[tokio::test]
async fn nonsense_metadata_is_refused() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, path) = (server.admin(), format!("{PROJECTS}/{}", project.name));
    for metadata in [
        json!({ "public": "maybe" }),
        json!({ "severity": "xx" }),
        json!({ "auto_scan": "perhaps" }),
    ] {
        let answer = admin
            .put(&path)
            .json(&json!({ "metadata": metadata }))
            .await;
        let answer = answer.expect_error(400, "BAD_REQUEST");
        let key = metadata
            .as_object()
            .and_then(|map| map.keys().next().cloned())
            .unwrap_or_default();
        assert!(
            answer.message().contains(&key),
            "the message names the field: {answer}"
        );
        let mut new = named(&fresh("nonsense"));
        new["metadata"] = metadata;
        admin
            .post(PROJECTS)
            .json(&new)
            .await
            .expect_error(400, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn only_an_empty_project_is_deleted() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let owner = project.member(Role::ProjectAdmin).await;
    let path = format!("{PROJECTS}/{}", project.id);
    let admin = server.admin();
    let pushed = image("keeps the project");
    admin
        .push_image(&project.repository("app"), "latest", &pushed)
        .await;
    assert_eq!(admin.get(&path).await.expect(200).json()["repo_count"], 1);
    owner.delete(&path).await.expect_error(412, "PRECONDITION");

    let empty = server.private_project().await;
    let owner = empty.member(Role::ProjectAdmin).await;
    let path = format!("{PROJECTS}/{}", empty.id);
    owner.delete(&path).await.expect(200);
    owner.delete(&path).await.expect_error(403, "FORBIDDEN");
    admin.delete(&path).await.expect_error(404, "NOT_FOUND");
    let again = admin
        .post(PROJECTS)
        .json(&named(&empty.name))
        .await
        .expect(201);
    assert_ne!(
        again.location(),
        path,
        "the name is free, the number is not used again"
    );
}

#[tokio::test]
async fn a_new_project_of_an_old_name_has_nothing_of_the_old_one() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let member = project.member(Role::Developer).await;
    let token = member
        .with_token(&[&format!(
            "repository:{}:pull,push",
            project.repository("app")
        )])
        .await;
    let digest = admin
        .push_blob(&project.repository("app"), "left behind")
        .await;
    admin
        .delete(&format!("{PROJECTS}/{}", project.id))
        .await
        .expect(200);
    admin
        .post(PROJECTS)
        .json(&named(&project.name))
        .await
        .expect(201);
    let blob = format!("/v2/{}/blobs/{digest}", project.repository("app"));
    admin.get(&blob).await.expect(404);
    for caller in [member, token] {
        caller.get(&blob).await.expect_error(401, "UNAUTHORIZED");
        caller
            .post(&format!("/v2/{}/blobs/uploads/", project.repository("app")))
            .await
            .expect(401);
    }
}

#[tokio::test]
async fn a_summary_counts_what_one_may_see() {
    let server = SERVER.get().await;
    let project = server.public_project().await;
    let guest = project.member(Role::Guest).await;
    project.member(Role::Developer).await;
    let path = format!("{PROJECTS}/{}/summary", project.name);
    server
        .admin()
        .push_image(&project.repository("app"), "latest", &image("summary"))
        .await;
    let seen = guest.get(&path).await.expect(200).json();
    assert_eq!(
        (&seen["project_admin_count"], &seen["developer_count"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&seen["guest_count"], &seen["repo_count"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(seen["quota"]["hard"]["storage"], -1);
    assert!(
        seen["quota"]["used"]["storage"].as_u64() > Some(2000),
        "{seen}"
    );
    let outside = server.stranger().await.get(&path).await.expect(200).json();
    assert_eq!(outside, json!({ "repo_count": 1 }), "no quota, no members");
}

#[tokio::test]
async fn whether_a_project_can_be_deleted_is_told() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (admin, path) = (
        server.admin(),
        format!("{PROJECTS}/{}/_deletable", project.id),
    );
    assert_eq!(
        admin.get(&path).await.expect(200).json(),
        json!({ "deletable": true })
    );
    admin
        .push_image(&project.repository("app"), "latest", &image("deletable"))
        .await;
    let full = admin.get(&path).await.expect(200).json();
    let reason = "the project contains repositories, can not be deleted";
    assert_eq!(full, json!({ "message": reason }));
}

#[tokio::test]
async fn metadata_reads_one_by_one() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let owner = project.member(Role::ProjectAdmin).await;
    let path = format!("{PROJECTS}/{}/metadatas", project.id);
    let one = owner
        .get(&format!("{path}/public"))
        .await
        .expect(200)
        .json();
    assert_eq!(one, json!({ "public": "false" }));
    assert_eq!(
        owner.get(&format!("{path}/zzz")).await.expect(200).json(),
        json!({})
    );
    owner.get(&path).await.expect_error(403, "FORBIDDEN");
    let all = server.admin().get(&path).await.expect(200).json();
    assert_eq!(all["public"], "false");
}
