//! Every way to send a blob, and the ways in which sending one fails.

use std::future::IntoFuture;

use bytes::Bytes;

use super::SERVER;
use crate::harness::{Answer, Client, Protocol, eventually, noise, sha256, sha512};

pub(super) const OCTETS: &str = "application/octet-stream";

/// The forms that the specification and its unreleased successor know.
#[derive(Clone, Copy, Debug)]
enum Form {
    PostThenPut,
    PostWithDigest,
    OnePatch,
    ChunkedPatches,
    LastChunkInPut,
    StreamedWithoutLength,
}

const FORMS: [Form; 6] = [
    Form::PostThenPut,
    Form::PostWithDigest,
    Form::OnePatch,
    Form::ChunkedPatches,
    Form::LastChunkInPut,
    Form::StreamedWithoutLength,
];

/// Sends a blob in this form and gives its `Location`.
async fn push(
    client: &Client,
    repository: &str,
    form: Form,
    bytes: &Bytes,
    digest: &str,
) -> String {
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    if matches!(form, Form::PostWithDigest) {
        let post = client
            .post(&format!("{uploads}?digest={digest}"))
            .content_type(OCTETS);
        return post.body(bytes.clone()).await.expect(201).location();
    }
    let mut session = client.post(&uploads).await.expect(202);
    let middle = bytes.len() / 2;
    let mut rest = Bytes::new();
    match form {
        Form::PostThenPut => rest = bytes.clone(),
        Form::OnePatch => {
            let patch = client.patch(&session.location()).content_type(OCTETS);
            session = patch.body(bytes.clone()).await.expect(202);
        }
        Form::ChunkedPatches | Form::LastChunkInPut => {
            session = chunk(client, &session.location(), bytes, 0, middle).await;
            if matches!(form, Form::LastChunkInPut) {
                rest = bytes.slice(middle..);
            } else {
                session = chunk(client, &session.location(), bytes, middle, bytes.len()).await;
            }
        }
        Form::StreamedWithoutLength => {
            let location = session.location();
            let (mut body, patch) = client.patch(&location).content_type(OCTETS).streaming();
            let send = async {
                for piece in bytes.chunks(10_000) {
                    body.send_data(Bytes::copy_from_slice(piece))
                        .await
                        .expect("the server reads the body");
                }
                drop(body);
            };
            session = tokio::join!(patch.into_future(), send).0.expect(202);
        }
        Form::PostWithDigest => unreachable!("answered above"),
    }
    let finish = client
        .put(&session.location_with(&format!("digest={digest}")))
        .content_type(OCTETS);
    let finish = match form {
        Form::LastChunkInPut if !rest.is_empty() => {
            finish.header("content-range", format!("{middle}-{}", bytes.len() - 1))
        }
        _ => finish,
    };
    let stored = finish.body(rest).await.expect(201);
    assert_eq!(stored.digest(), digest, "{form:?}");
    stored.location()
}

/// PATCH of `bytes[from..to]` with its `Content-Range`.
pub(super) async fn chunk(
    client: &Client,
    location: &str,
    bytes: &Bytes,
    from: usize,
    to: usize,
) -> Answer {
    let patch = client
        .patch(location)
        .content_type(OCTETS)
        .body(bytes.slice(from..to));
    let patch = if to > from {
        patch.header("content-range", format!("{from}-{}", to - 1))
    } else {
        patch
    };
    let answer = patch.await.expect(202);
    if to > 0 {
        assert_eq!(answer.header("range"), format!("0-{}", to - 1));
    }
    answer
}

#[tokio::test]
async fn every_form_of_upload_stores_the_same_bytes() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        for form in FORMS {
            let repository = project.repository("forms");
            let bytes = noise(&format!("{protocol:?} {form:?}"), 300_001);
            let digest = sha256(&bytes);
            let location = push(&client, &repository, form, &bytes, &digest).await;
            assert_eq!(
                location,
                format!("/v2/{repository}/blobs/{digest}"),
                "{form:?}"
            );
            let pulled = client.get(&location).await.expect(200);
            assert_eq!(pulled.body, bytes, "{protocol:?} {form:?}");
            assert_eq!(pulled.digest(), digest, "{protocol:?} {form:?}");
        }
    }
}

#[tokio::test]
async fn every_form_of_upload_takes_an_empty_blob() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let (client, empty) = (server.admin(), Bytes::new());
    for (number, form) in FORMS.into_iter().enumerate() {
        let repository = project.repository(&format!("empty{number}"));
        let location = push(&client, &repository, form, &empty, &sha256(&empty)).await;
        let pulled = client.get(&location).await.expect(200);
        assert_eq!(
            (pulled.header("content-length"), pulled.body.len()),
            ("0", 0),
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn every_form_of_upload_takes_a_sha512_digest() {
    let server = SERVER.get().await;
    let project = server.private_project().await;
    let client = server.admin();
    for form in FORMS {
        let repository = project.repository("sha512");
        let bytes = noise(&format!("{form:?} in sha512"), 70_000);
        let digest = sha512(&bytes);
        let location = push(&client, &repository, form, &bytes, &digest).await;
        let pulled = client.get(&location).await.expect(200);
        assert_eq!(pulled.body, bytes, "{form:?}");
        assert_eq!(pulled.digest(), digest, "{form:?}");
    }
}

#[tokio::test]
async fn the_digest_algorithm_may_be_named_at_the_start() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("algorithm");
    let client = server.admin();
    let bytes = noise("named at the start", 50_000);
    let uploads = format!("/v2/{repository}/blobs/uploads/?digest-algorithm=sha512");
    let session = client.post(&uploads).await.expect(202);
    let session = chunk(&client, &session.location(), &bytes, 0, 20_000).await;
    let session = chunk(&client, &session.location(), &bytes, 20_000, bytes.len()).await;
    let digest = sha512(&bytes);
    client
        .put(&session.location_with(&format!("digest={digest}")))
        .await
        .expect(201);
    assert_eq!(
        client
            .get(&format!("/v2/{repository}/blobs/{digest}"))
            .await
            .expect(200)
            .body,
        bytes
    );
}

#[tokio::test]
async fn an_unknown_digest_algorithm_is_refused_at_the_start() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("algorithm");
    let uploads = format!("/v2/{repository}/blobs/uploads/?digest-algorithm=md5");
    server
        .admin()
        .post(&uploads)
        .await
        .expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_wrong_digest_stores_nothing() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("wrong");
    let client = server.admin();
    let wrong = sha256(b"something else");
    for form in FORMS {
        let bytes = noise(&format!("{form:?} wrong"), 5000);
        let session = client.start_upload(&repository).await;
        let put = client
            .put(&session.location_with(&format!("digest={wrong}")))
            .content_type(OCTETS);
        put.body(bytes.clone())
            .await
            .expect_error(400, "DIGEST_INVALID");
        let post = client
            .post(&format!("/v2/{repository}/blobs/uploads/?digest={wrong}"))
            .content_type(OCTETS);
        post.body(bytes.clone())
            .await
            .expect_error(400, "DIGEST_INVALID");
        for digest in [&wrong, &sha256(&bytes)] {
            client
                .get(&format!("/v2/{repository}/blobs/{digest}"))
                .await
                .expect_error(404, "BLOB_UNKNOWN");
        }
    }
}

#[tokio::test]
async fn the_final_put_needs_a_digest() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("none");
    let client = server.admin();
    let session = client.start_upload(&repository).await;
    let put = client
        .put(&session.location())
        .content_type(OCTETS)
        .body("hello");
    put.await.expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_chunk_out_of_order_is_416_and_harms_nothing() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("order");
    let client = server.admin();
    let bytes = noise("out of order", 3000);
    let session = client.start_upload(&repository).await;
    let session = chunk(&client, &session.location(), &bytes, 0, 1000).await;
    for (from, to) in [
        (2000, 3000),
        (1001, 2001),
        (0, 1000),
        (999, 1999),
        (500, 600),
    ] {
        let patch = client
            .patch(&session.location())
            .content_type(OCTETS)
            .body(bytes.slice(from..to));
        let refused = patch
            .header("content-range", format!("{from}-{}", to - 1))
            .await;
        refused.expect_error(416, "BLOB_UPLOAD_INVALID");
    }
    let status = client.get(&session.location()).await.expect(204);
    assert_eq!(
        status.header("range"),
        "0-999",
        "a refused chunk must not count"
    );
    let session = chunk(&client, &status.location(), &bytes, 1000, 3000).await;
    let digest = sha256(&bytes);
    client
        .put(&session.location_with(&format!("digest={digest}")))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_final_chunk_out_of_order_is_416() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("order");
    let client = server.admin();
    let bytes = noise("final out of order", 2000);
    let session = client.start_upload(&repository).await;
    let session = chunk(&client, &session.location(), &bytes, 0, 1000).await;
    let put = client
        .put(&session.location_with(&format!("digest={}", sha256(&bytes))))
        .content_type(OCTETS);
    let refused = put
        .header("content-range", "500-1499")
        .body(bytes.slice(500..1500))
        .await;
    refused.expect_error(416, "BLOB_UPLOAD_INVALID");
}

#[tokio::test]
async fn the_status_of_an_upload_tells_where_to_go_on() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("status");
    let client = server.admin();
    let bytes = noise("status", 1234);
    let session = client.start_upload(&repository).await;
    assert!(
        session.maybe_header("docker-upload-uuid").is_some(),
        "docker reads the id: {session}"
    );
    client.get(&session.location()).await.expect(204);
    let session = chunk(&client, &session.location(), &bytes, 0, 1234).await;
    let status = client.get(&session.location()).await.expect(204);
    assert_eq!(status.header("range"), "0-1233");
    let path = status.location_with(&format!("digest={}", sha256(&bytes)));
    client.put(&path).await.expect(201);
    client
        .get(&session.location())
        .await
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn an_upload_resumes_after_the_connection_was_cut() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cut");
    let client = server.admin();
    let bytes = noise("cut", 2_000_000);
    let session = client.start_upload(&repository).await;
    let session = chunk(&client, &session.location(), &bytes, 0, 500_000).await;
    let location = session.location();

    let (mut body, patch) = client.patch(&location).content_type(OCTETS).streaming();
    let send = async {
        body.send_data(bytes.slice(500_000..1_200_000))
            .await
            .expect("the server reads the body");
        body.abort(std::io::Error::other("the cable is cut"));
    };
    let (answer, ()) = tokio::join!(patch.attempt(), send);
    assert!(
        answer.is_err(),
        "a body that was cut is no success: {answer:?}"
    );

    // the dying request may still store what it got: then the place has moved, and the client looks again
    let session = eventually(10, "the upload goes on", async || {
        let status = client.get(&location).await.expect(204);
        let offset = offset_in(status.header("range"));
        let invented = !(500_000..=1_200_000).contains(&offset);
        assert!(
            !invented,
            "acknowledged bytes are kept, others not invented: {offset}"
        );
        let patch = client
            .patch(&location)
            .content_type(OCTETS)
            .body(bytes.slice(offset..));
        let range = format!("{offset}-{}", bytes.len() - 1);
        let answer = patch.header("content-range", range).await;
        assert!([202, 416].contains(&answer.status), "{answer}");
        (answer.status == 202).then_some(answer)
    })
    .await;
    let digest = sha256(&bytes);
    client
        .put(&session.location_with(&format!("digest={digest}")))
        .await
        .expect(201);
    assert_eq!(
        client
            .get(&format!("/v2/{repository}/blobs/{digest}"))
            .await
            .expect(200)
            .body,
        bytes
    );
}

#[tokio::test]
async fn a_monolithic_put_that_was_cut_stores_nothing() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("cutput");
    let client = server.admin();
    let bytes = noise("cut put", 600_000);
    let digest = sha256(&bytes);
    let session = client.start_upload(&repository).await;
    let path = session.location_with(&format!("digest={digest}"));
    let length = bytes.len().to_string();
    let (mut body, put) = client
        .put(&path)
        .content_type(OCTETS)
        .header("content-length", length)
        .streaming();
    let send = async {
        body.send_data(bytes.slice(..400_000))
            .await
            .expect("the server reads the body");
        body.abort(std::io::Error::other("the cable is cut"));
    };
    let (answer, ()) = tokio::join!(put.attempt(), send);
    assert!(
        answer.is_err(),
        "a body that was cut is no success: {answer:?}"
    );
    client
        .get(&format!("/v2/{repository}/blobs/{digest}"))
        .await
        .expect_error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_large_blob_comes_back_to_the_byte() {
    let server = SERVER.get().await;
    let repository = server.private_project().await.repository("large");
    let bytes = noise("large", 24 << 20);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        let digest = client.push_blob(&repository, bytes.clone()).await;
        let pulled = client
            .get(&format!("/v2/{repository}/blobs/{digest}"))
            .await
            .expect(200);
        assert!(pulled.body == bytes, "{protocol:?}: the bytes differ");
    }
}

/// The number of bytes that a `Range: 0-N` acknowledges.
fn offset_in(range: &str) -> usize {
    let (_, last) = range.split_once('-').expect("a range has a dash");
    last.parse::<usize>().expect("a range ends with a number") + 1
}
