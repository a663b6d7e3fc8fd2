//! Mounting a blob from another repository instead of sending it again.

use super::SERVER;
use crate::harness::{Role, noise, sha256};

#[tokio::test]
async fn a_mount_links_the_blob_without_sending_it() {
    let server = SERVER.get().await;
    let (source, target) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = server.admin();
    let bytes = noise("mounted", 4000);
    let digest = admin
        .push_blob(&source.repository("from"), bytes.clone())
        .await;
    let repository = target.repository("to");
    let path = format!(
        "/v2/{repository}/blobs/uploads/?mount={digest}&from={}",
        source.repository("from")
    );
    for _ in 0..2 {
        let mounted = admin.post(&path).await.expect(201);
        assert_eq!(
            mounted.location(),
            format!("/v2/{repository}/blobs/{digest}")
        );
        assert_eq!(mounted.digest(), digest);
    }
    assert_eq!(
        admin
            .get(&format!("/v2/{repository}/blobs/{digest}"))
            .await
            .expect(200)
            .body,
        bytes
    );
}

#[tokio::test]
async fn a_mount_of_an_unknown_blob_begins_an_upload() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let bytes = noise("not there yet", 500);
    let digest = sha256(&bytes);
    let uploads = format!(
        "/v2/{}/blobs/uploads/?mount={digest}",
        project.repository("to")
    );
    for query in [
        format!("&from={}", project.repository("from")),
        String::new(),
        "&from=nowhere/at-all".to_owned(),
    ] {
        let session = admin.post(&format!("{uploads}{query}")).await.expect(202);
        assert!(session.location().contains("/blobs/uploads/"), "{session}");
        let put = admin
            .put(&session.location_with(&format!("digest={digest}")))
            .body(bytes.clone());
        if query.starts_with("&from=nowhere") {
            put.await.expect(201);
        }
    }
}

#[tokio::test]
async fn a_mount_of_what_is_no_digest_begins_an_upload() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let admin = server.admin();
    let uploads = format!("/v2/{}/blobs/uploads/", project.repository("to"));
    for mount in ["", "latest", "sha256:1", "%00"] {
        for from in [String::new(), format!("&from={}", project.repository("to"))] {
            let path = format!("{uploads}?mount={mount}{from}");
            let session = admin.post(&path).await.expect(202);
            assert!(session.location().contains("/blobs/uploads/"), "{session}");
        }
    }
}

#[tokio::test]
async fn knowing_a_digest_opens_nothing() {
    let server = SERVER.get().await;
    let (source, other) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = server.admin();
    let digest = admin
        .push_blob(&source.repository("from"), noise("secret", 700))
        .await;
    let path = format!("/v2/{}/blobs/{digest}", other.repository("elsewhere"));
    admin
        .push_blob(&other.repository("elsewhere"), noise("something else", 10))
        .await;
    admin.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
    admin.head(&path).await.expect(404);
}

#[tokio::test]
async fn a_mount_without_source_finds_only_what_the_caller_may_pull() {
    let server = SERVER.get().await;
    let (hidden, own) = (
        server.private_project().await,
        server.private_project().await,
    );
    let admin = server.admin();
    let secret = admin
        .push_blob(&hidden.repository("from"), noise("hidden from mounts", 700))
        .await;
    let developer = own.member(Role::Developer).await;
    let uploads = format!("/v2/{}/blobs/uploads/?mount={secret}", own.repository("to"));
    developer.post(&uploads).await.expect(202);
    developer
        .post(&format!("{uploads}&from={}", hidden.repository("from")))
        .await
        .expect(202);
    hidden.add(developer.name(), Role::LimitedGuest).await;
    developer
        .post(&format!("{uploads}&from={}", hidden.repository("from")))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_mount_that_cannot_be_done_begins_an_upload() {
    let server = SERVER.get().await;
    let (source, target) = (
        server.private_project().await,
        server.private_project().await,
    );
    let bytes = noise("mounted or not", 300);
    let digest = server
        .admin()
        .push_blob(&source.repository("from"), bytes.clone())
        .await;
    let developer = target.member(Role::Developer).await;
    source.add(developer.name(), Role::Guest).await;
    let repository = target.repository("to");
    let narrow = developer
        .with_token(&[&format!("repository:{repository}:pull,push")])
        .await;
    let long = "a".repeat(300);
    for from in [
        &source.repository("from"),
        "pause",
        "UPPER/case",
        "a//b",
        "",
        "%00",
        &long,
        "nowhere/at-all",
    ] {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let session = narrow.post(&path).await.expect(202);
        assert!(session.location().contains("/blobs/uploads/"), "{session}");
    }
    // The token's lack is only that of the source: the upload goes on with it.
    let path = format!(
        "/v2/{repository}/blobs/uploads/?mount={digest}&from={}",
        source.repository("from")
    );
    let session = narrow.post(&path).await.expect(202);
    narrow
        .put(&session.location_with(&format!("digest={digest}")))
        .body(bytes)
        .await
        .expect(201);
    developer.post(&path).await.expect(201);
    // Where the target is not covered, the challenge names what a mount needs.
    let other = developer
        .with_token(&[&format!("repository:{}:pull", source.repository("from"))])
        .await;
    let refused = other.post(&path).await.expect_error(401, "UNAUTHORIZED");
    let scope = format!(
        "scope=\"repository:{repository}:pull,push repository:{}:pull\"",
        source.repository("from")
    );
    assert!(
        refused.header("www-authenticate").contains(&scope),
        "{refused}"
    );
}

#[tokio::test]
async fn a_mount_without_source_looks_through_the_project() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let developer = project.member(Role::Developer).await;
    let digest = developer
        .push_blob(&project.repository("one"), noise("a sibling has it", 700))
        .await;
    let repository = project.repository("two");
    let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}");
    let mounted = developer.post(&path).await.expect(201);
    assert_eq!(mounted.digest(), digest);
    developer
        .get(&format!("/v2/{repository}/blobs/{digest}"))
        .await
        .expect(200);
}
