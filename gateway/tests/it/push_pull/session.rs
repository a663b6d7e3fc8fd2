//! Whose an upload session is, and what becomes of it when several write to it or nobody wants it.

use std::time::Duration;

use bytes::Bytes;

use super::SERVER;
use super::upload::{OCTETS, chunk};
use crate::harness::{Answer, Client, Failure, Protocol, noise, sha256};

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cancel");
    let client = server.admin();
    let bytes = noise("cancel", 1000);
    let begun = chunk(
        &client,
        &client.start_upload(&repository).await.location(),
        &bytes,
        0,
        500,
    )
    .await
    .location();
    let fresh = client.start_upload(&repository).await.location();
    for session in [begun, fresh] {
        client.delete(&session).await.expect(204);
        client
            .get(&session)
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        client
            .delete(&session)
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        client
            .patch(&session)
            .content_type(OCTETS)
            .body(bytes.clone())
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        let separator = if session.contains('?') { '&' } else { '?' };
        let finish = format!("{session}{separator}digest={}", sha256(&bytes));
        client
            .put(&finish)
            .content_type(OCTETS)
            .body(bytes.clone())
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    client
        .get(&format!("/v2/{repository}/blobs/{}", sha256(&bytes)))
        .await
        .expect_error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_session_belongs_to_its_repository() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let client = server.admin();
    let location = client
        .start_upload(&project.repository("mine"))
        .await
        .location();
    let elsewhere = location.replace("/mine/", "/other/");
    client
        .get(&elsewhere)
        .await
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client
        .patch(&elsewhere)
        .content_type(OCTETS)
        .body("x")
        .await
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.get(&location).await.expect(204);
}

#[tokio::test]
async fn a_session_does_not_serve_another_person() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let location = server
        .admin()
        .start_upload(&project.repository("mine"))
        .await
        .location();
    let guest = project.member(crate::harness::Role::Guest).await;
    guest.get(&location).await.expect_error(401, "UNAUTHORIZED");
    guest
        .patch(&location)
        .content_type(OCTETS)
        .body("x")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn two_clients_may_push_the_same_blob_at_once() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("twice");
    let bytes = noise("the same twice", 900_000);
    let (one, two) = (server.admin(), server.admin().speaking(Protocol::Http2));
    let (first, second) = tokio::join!(
        one.push_blob(&repository, bytes.clone()),
        two.push_blob(&repository, bytes.clone())
    );
    assert_eq!(first, second);
    assert_eq!(
        one.get(&format!("/v2/{repository}/blobs/{first}"))
            .await
            .expect(200)
            .body,
        bytes
    );
}

/// How two writers of one session fared who both go on at 100,000 of 2,000,000 bytes: one sends `before`
/// bytes, stalls while the other sends everything and finishes, and sends something else then.
struct Race {
    stalled: Result<Answer, Failure>,
    stored: Answer,
    pulled: Answer,
}

async fn race(client: &Client, repository: &str, bytes: &Bytes, before: usize) -> Race {
    let begun = client.start_upload(repository).await.location();
    let location = chunk(client, &begun, bytes, 0, 100_000).await.location();
    let other = client.clone();
    let (mut body, patch) = other
        .patch(&location)
        .content_type(OCTETS)
        .header("content-range", "100000-1999999")
        .streaming();
    let overtaken = async {
        let beginning = bytes.slice(100_000..100_000 + before);
        body.send_data(beginning)
            .await
            .expect("the server reads the body");
        // as long as the second is not done, the first has to be in the middle of its chunk
        tokio::time::sleep(Duration::from_millis(300)).await;
        let session = chunk(client, &location, bytes, 100_000, bytes.len()).await;
        let finish = session.location_with(&format!("digest={}", sha256(bytes)));
        let stored = client.put(&finish).await;
        let other_bytes = noise("garbage", 1_900_000 - before);
        for piece in other_bytes.chunks(100_000) {
            if body.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
        }
        drop(body);
        stored
    };
    let both = async { tokio::join!(patch.attempt(), overtaken) };
    let (stalled, stored) = tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("neither hangs");
    let pulled = client
        .get(&format!("/v2/{repository}/blobs/{}", sha256(bytes)))
        .await;
    Race {
        stalled,
        stored,
        pulled,
    }
}

#[tokio::test]
async fn a_writer_that_lost_its_session_cannot_touch_the_blob() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("fenced");
    // within the first batch that a server collects, and past it
    for before in [50_000, 900_000] {
        let bytes = noise(&format!("fenced {before}"), 2_000_000);
        let race = race(&server.admin(), &repository, &bytes, before).await;
        race.stored.expect(201);
        assert!(
            race.pulled.expect(200).body == bytes,
            "{before}: the stored bytes were changed"
        );
        let lost = race
            .stalled
            .as_ref()
            .map_or(true, |answer| [404, 409, 416].contains(&answer.status));
        assert!(
            lost,
            "{before}: whoever lost the session is told so: {:?}",
            race.stalled
        );
    }
}
