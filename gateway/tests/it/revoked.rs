//! Rights that were taken away: whoever holds them is refused soon, whatever token is held.

use std::time::{Duration, Instant};

use serde_json::json;

use bytes::Bytes;

use crate::harness::client::Request;
use crate::harness::{Answer, Client, Project, Role, Server, Shared, eventually, image, sha256};

static SERVER: Shared = Shared::new(&[]);

/// Whether a caller who could do something until now is refused within 2 s of this change.
async fn refused_soon(caller: &Client, path: &str) {
    let begun = Instant::now();
    eventually(2, "the right is gone", async || {
        (caller.get(path).await.status == 401).then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    caller.get(path).await.expect(401);
}

/// A repository with an image in a new project, and the path of its manifest.
async fn pullable(project: &Project<'_>, server: &Server) -> (String, String) {
    let repository = project.repository("old-token");
    server
        .admin()
        .push_image(&repository, "latest", &image(&repository))
        .await;
    let path = format!("/v2/{repository}/manifests/latest");
    (repository, path)
}

#[tokio::test]
async fn a_removed_member_is_refused_whatever_they_hold() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (repository, path) = pullable(&project, &server).await;
    let person = server.stranger().await;
    let member = project.add(person.name(), Role::Developer).await;
    let holder = person
        .with_token(&[&format!("repository:{repository}:pull,push")])
        .await;
    holder.get(&path).await.expect(200);
    person.get(&path).await.expect(200);
    project.remove(member).await;
    refused_soon(&holder, &path).await;
    refused_soon(&person, &path).await;
    holder
        .post(&format!("/v2/{repository}/blobs/uploads/"))
        .await
        .expect(401);
}

#[tokio::test]
async fn a_demoted_member_loses_what_the_new_role_lacks() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (repository, path) = pullable(&project, &server).await;
    let person = server.stranger().await;
    let member = project.add(person.name(), Role::Developer).await;
    let holder = person
        .with_token(&[&format!("repository:{repository}:pull,push")])
        .await;
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    holder.post(&uploads).await.expect(202);
    let guest = json!({ "role_id": Role::Guest as u8 });
    server
        .admin()
        .put(&format!("{}/{member}", project.members()))
        .json(&guest)
        .await
        .expect(200);
    eventually(2, "push is gone", async || {
        (holder.post(&uploads).await.status == 401).then_some(())
    })
    .await;
    holder.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_deleted_user_is_refused_whatever_they_hold() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (repository, path) = pullable(&project, &server).await;
    let name = crate::harness::fresh("leaver");
    let id = server.create_user(&name).await;
    project.add(&name, Role::Developer).await;
    let person = server.as_user(&name);
    let holder = person
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    holder.get(&path).await.expect(200);
    server
        .admin()
        .delete(&format!("/api/v2.0/users/{id}"))
        .await
        .expect(200);
    refused_soon(&holder, &path).await;
    refused_soon(&person, &path).await;
}

#[tokio::test]
async fn a_changed_password_ends_the_old_one() {
    let server = SERVER.get().await;
    let name = crate::harness::fresh("changer");
    let id = server.create_user(&name).await;
    let person = server.as_user(&name);
    person.get("/v2/").await.expect(200);
    let change =
        json!({ "old_password": crate::harness::PASSWORD, "new_password": "An0therPassword" });
    person
        .put(&format!("/api/v2.0/users/{id}/password"))
        .json(&change)
        .await
        .expect(200);
    let old = person.at(14);
    eventually(2, "the old password is gone", async || {
        (old.get("/v2/").await.status == 401).then_some(())
    })
    .await;
    server
        .as_user_with(&name, "An0therPassword")
        .get("/v2/")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_project_made_private_closes_at_once() {
    let server = SERVER.get().await;
    let project = server.public_project().await;
    let (repository, path) = pullable(&project, &server).await;
    let holder = server
        .anonymous()
        .with_token(&[&format!("repository:{repository}:pull")])
        .await;
    holder.get(&path).await.expect(200);
    let private = json!({ "metadata": { "public": "false" } });
    server
        .admin()
        .put(&format!("/api/v2.0/projects/{}", project.id))
        .json(&private)
        .await
        .expect(200);
    refused_soon(&holder, &path).await;
    refused_soon(&server.anonymous(), &path).await;
}

/// Sends a body's first byte, waits until rights are taken away, and sends the rest.
async fn slowly<'a>(
    request: impl FnOnce() -> Request<'a>,
    body: &[u8],
    take_away: impl Future<Output = ()>,
) -> Answer {
    let (mut sender, request) = request().streaming();
    let (first, rest) = body.split_at(1);
    let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
    let send = async move {
        sender.send_data(first).await.expect("it is read");
        // So that the permit is there before it is taken away, and older than a moment after.
        tokio::time::sleep(Duration::from_millis(300)).await;
        take_away.await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        sender.send_data(rest).await.expect("it is read");
    };
    tokio::join!(async { request.await }, send).0
}

#[tokio::test]
async fn a_right_that_is_lost_while_the_body_comes_changes_nothing() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let person = server.stranger().await;
    let member = project.add(person.name(), Role::ProjectAdmin).await;
    let repository = project.repository("slow");
    let pushed = image(&repository);
    for blob in pushed.blobs() {
        person.push_blob(&repository, blob.bytes.clone()).await;
    }
    let holder = person
        .with_token(&[&format!("repository:{repository}:pull,push")])
        .await;
    let own = json!({ "role_id": 1, "member_user": { "username": person.name() } }).to_string();
    let members = project.members();
    let removed = async {
        project.remove(member).await;
    };
    let blob = format!(
        "/v2/{repository}/blobs/uploads/?digest={}",
        sha256(b"slow blob")
    );
    let manifest = format!("/v2/{repository}/manifests/slow");
    let (again, put, posted) = tokio::join!(
        slowly(
            || person.post(&members).content_type("application/json"),
            own.as_bytes(),
            removed
        ),
        slowly(
            || holder.put(&manifest).content_type(&pushed.media_type),
            &pushed.manifest,
            async {}
        ),
        slowly(
            || holder.post(&blob).content_type("application/octet-stream"),
            b"slow blob",
            async {}
        ),
    );
    assert_eq!(again.status, 403, "{}", again.text());
    assert_eq!(put.status, 401, "{}", put.text());
    assert_eq!(posted.status, 403, "{}", posted.text());
    person.get(&members).await.expect(403);
    let stored = format!("/v2/{repository}/blobs/{}", sha256(b"slow blob"));
    server.admin().get(&stored).await.expect(404);
    server.admin().get(&manifest).await.expect(404);
}

#[tokio::test]
async fn what_began_before_writing_was_forbidden_writes_nothing() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let repository = project.repository("slow");
    let pushed = image(&repository);
    for blob in pushed.blobs() {
        admin.push_blob(&repository, blob.bytes.clone()).await;
    }
    let blob = format!(
        "/v2/{repository}/blobs/uploads/?digest={}",
        sha256(b"slow blob")
    );
    let manifest = format!("/v2/{repository}/manifests/slow");
    let named = json!({ "project_name": "late-project" }).to_string();
    let (made, put, posted) = tokio::join!(
        slowly(
            || admin
                .post("/api/v2.0/projects")
                .content_type("application/json"),
            named.as_bytes(),
            set_read_only(&admin, true),
        ),
        slowly(
            || admin.put(&manifest).content_type(&pushed.media_type),
            &pushed.manifest,
            async {}
        ),
        slowly(
            || admin.post(&blob).content_type("application/octet-stream"),
            b"slow blob",
            async {}
        ),
    );
    for answer in [made, put, posted] {
        answer.expect_error(403, "DENIED");
    }
    set_read_only(&admin, false).await;
    let stored = format!("/v2/{repository}/blobs/{}", sha256(b"slow blob"));
    for path in [&*stored, &*manifest, "/api/v2.0/projects/late-project"] {
        admin.get(path).await.expect(404);
    }
}

async fn set_read_only(admin: &Client, read_only: bool) {
    admin
        .put("/api/v2.0/configurations")
        .json(&json!({ "read_only": read_only }))
        .await
        .expect(200);
}
