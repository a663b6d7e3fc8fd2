//! Projects that are deleted and made anew under the same name: nothing of the first is the second's.

use serde_json::json;

use crate::harness::{Client, Server, eventually, noise, sha256};

async fn impatient() -> Server {
    Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await
}

async fn make(admin: &Client, name: &str) {
    admin
        .post("/api/v2.0/projects")
        .json(&json!({ "project_name": name }))
        .await
        .expect(201);
}

async fn delete(admin: &Client, name: &str) {
    let path = format!("/api/v2.0/projects/{name}");
    admin.delete(&path).await.expect(200);
}

#[tokio::test]
async fn a_blob_of_a_deleted_project_is_collected_and_stops_no_collection() {
    let server = impatient().await;
    let admin = server.admin();
    make(&admin, "brief").await;
    let digest = admin.push_blob("brief/app", noise("brief", 5_000)).await;
    delete(&admin, "brief").await;
    let other = admin.push_blob("library/app", noise("other", 5_000)).await;
    for gone in [&digest, &other] {
        eventually(20, "the blob is collected", async || {
            let why = server.cli(&["storage", "why", gone]).await;
            (!why.status.success()).then_some(())
        })
        .await;
    }
    let status = server.cli_prints(&["gc", "status"]).await;
    assert!(status.contains("links due for review: 0"), "{status}");
    make(&admin, "brief").await;
    let path = format!("/v2/brief/app/blobs/{digest}");
    admin.get(&path).await.expect(404);
    server.cli_prints(&["storage", "usage"]).await;
}

#[tokio::test]
async fn an_upload_ends_with_the_project_it_began_in() {
    let server = impatient().await;
    let admin = server.admin();
    let bytes = noise("late", 70_000);
    for sent_before in [0, 70_000] {
        make(&admin, "brief").await;
        let mut session = admin.start_upload("brief/app").await.location();
        if sent_before > 0 {
            let patched = admin
                .patch(&session)
                .content_type(OCTETS)
                .body(bytes.clone());
            session = patched.await.expect(202).location();
        }
        delete(&admin, "brief").await;
        make(&admin, "brief").await;
        let separator = if session.contains('?') { '&' } else { '?' };
        let finish = format!("{session}{separator}digest={}", sha256(&bytes));
        let rest = bytes.slice(sent_before..);
        admin
            .put(&finish)
            .content_type(OCTETS)
            .body(rest)
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        let path = format!("/v2/brief/app/blobs/{}", sha256(&bytes));
        admin.get(&path).await.expect(404);
        server.cli_prints(&["storage", "usage"]).await;
        delete(&admin, "brief").await;
    }
}

const OCTETS: &str = "application/octet-stream";
