//! kill -9: what was acknowledged is there, what was not is not, and uploads go on.

use crate::harness::{Client, Server, image, noise, sha256};

async fn patch(
    client: &Client,
    location: &str,
    from: usize,
    bytes: bytes::Bytes,
) -> crate::harness::Answer {
    let range = format!("{from}-{}", from + bytes.len() - 1);
    client
        .patch(location)
        .header("content-range", range)
        .body(bytes)
        .await
        .expect(202)
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_acknowledged() {
    let server = Server::start().await;
    let admin = server.admin();
    let bytes = noise("killed", 3_000_000);
    let session = admin.start_upload("library/crash").await;
    let session = patch(&admin, &session.location(), 0, bytes.slice(..1_000_000)).await;
    let location = session.location();

    let (mut body, request) = admin
        .patch(&location)
        .header("content-range", "1000000-2999999")
        .streaming();
    let killed = async {
        body.send_data(bytes.slice(1_000_000..1_700_000))
            .await
            .expect("the server reads the body");
        server.kill();
        body.send_data(bytes.slice(1_700_000..)).await.ok();
        drop(body);
    };
    let (answer, ()) = tokio::join!(request.attempt(), killed);
    assert!(answer.is_err(), "nobody was there to answer: {answer:?}");

    server.restart().await;
    let admin = server.admin();
    let status = admin.get(&location).await.expect(204);
    let (_, last) = status
        .header("range")
        .split_once('-')
        .expect("a range has a dash");
    let offset = last.parse::<usize>().expect("a range ends with a number") + 1;
    assert!(
        (1_000_000..=1_700_000).contains(&offset),
        "acknowledged bytes are kept, others not invented: {offset}"
    );
    let session = patch(&admin, &status.location(), offset, bytes.slice(offset..)).await;
    let digest = sha256(&bytes);
    admin
        .put(&session.location_with(&format!("digest={digest}")))
        .await
        .expect(201);
    let pulled = admin
        .get(&format!("/v2/library/crash/blobs/{digest}"))
        .await
        .expect(200);
    assert!(pulled.body == bytes, "the bytes differ");
}

#[tokio::test]
async fn a_cancelled_upload_stays_gone() {
    let server = Server::start().await;
    let admin = server.admin();
    let begun = admin.start_upload("library/crash").await;
    let begun = patch(&admin, &begun.location(), 0, noise("cancelled", 1000))
        .await
        .location();
    let fresh = admin.start_upload("library/crash").await.location();
    for session in [&begun, &fresh] {
        admin.delete(session).await.expect(204);
    }
    server.kill();
    server.restart().await;
    let admin = server.admin();
    for session in [&begun, &fresh] {
        admin
            .get(session)
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        admin
            .patch(session)
            .body("more")
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_and_what_was_deleted_does_not() {
    let server = Server::start().await;
    let admin = server.admin();
    let mut kept = Vec::new();
    for number in 0..8 {
        let image = image(&format!("crash {number}"));
        admin
            .push_image("library/crash", &format!("v{number}"), &image)
            .await;
        kept.push((format!("v{number}"), image));
    }
    let (deleted_tag, deleted) = kept.pop().expect("there are eight");
    admin
        .delete(&format!("/v2/library/crash/manifests/{}", deleted.digest))
        .await
        .expect(202);
    server.kill();
    server.restart().await;
    let admin = server.admin();
    for (tag, image) in &kept {
        let manifest = admin
            .get(&format!("/v2/library/crash/manifests/{tag}"))
            .await
            .expect(200);
        assert_eq!(manifest.body, image.manifest);
        for blob in image.blobs() {
            let pulled = admin
                .get(&format!("/v2/library/crash/blobs/{}", blob.digest))
                .await
                .expect(200);
            assert_eq!(pulled.body, blob.bytes);
        }
    }
    admin
        .get(&format!("/v2/library/crash/manifests/{deleted_tag}"))
        .await
        .expect(404);
    server.stop().await;
    server.cli_prints(&["storage", "check"]).await;
    server.restart().await;
}

#[tokio::test]
async fn a_push_that_was_not_acknowledged_is_not_visible() {
    let server = Server::start().await;
    let bytes = noise("half pushed", 500_000);
    let digest = sha256(&bytes);
    let admin = server.admin();
    let session = admin.start_upload("library/crash").await;
    let path = session.location_with(&format!("digest={digest}"));
    let (mut body, put) = admin.put(&path).streaming();
    let killed = async {
        body.send_data(bytes.slice(..400_000))
            .await
            .expect("the server reads the body");
        server.kill();
        drop(body);
    };
    tokio::join!(put.attempt(), killed)
        .0
        .expect_err("nobody was there to answer");
    server.restart().await;
    let admin = server.admin();
    admin
        .get(&format!("/v2/library/crash/blobs/{digest}"))
        .await
        .expect(404);
    admin.push_blob("library/crash", bytes.clone()).await;
    assert!(
        admin
            .get(&format!("/v2/library/crash/blobs/{digest}"))
            .await
            .expect(200)
            .body
            == bytes
    );
}

#[tokio::test]
async fn tokens_accounts_and_keys_survive() {
    let server = Server::start().await;
    let project = server.private_project().await;
    let developer = project.member(crate::harness::Role::Developer).await;
    let scope = format!("repository:{}:pull,push", project.repository("app"));
    let holder = developer.with_token(&[&scope]).await;
    let before = server.anonymous().certificate().await;
    server.kill();
    server.restart().await;
    assert_eq!(
        server.anonymous().certificate().await,
        before,
        "no new certificate"
    );
    let uploads = format!("/v2/{}/blobs/uploads/", project.repository("app"));
    holder.post(&uploads).await.expect(202);
    developer.post(&uploads).await.expect(202);
}
