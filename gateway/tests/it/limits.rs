//! Bounds: what is too large or too slow is cut off, with numbers that a configuration can change.

mod answers;
mod connections;
mod hanging;
mod starved;
mod unread;

use std::time::Duration;

use hyper::Method;

use crate::harness::{Protocol, Server, Shared, eventually, sha256};

static SERVER: Shared = Shared::new(&[
    ("GANTRY_LIMITS__HEADER_SECS", "2"),
    ("GANTRY_LIMITS__IDLE_SECS", "2"),
    ("GANTRY_LIMITS__HANDSHAKE_SECS", "3"),
]);

#[tokio::test]
async fn a_header_that_is_too_large_is_431() {
    let server = SERVER.get().await;
    let client = server.anonymous();
    let answer = client
        .get("/v2/")
        .header("x-large", "a".repeat(300_000))
        .attempt()
        .await;
    assert!(
        answer.as_ref().is_ok_and(|answer| answer.status == 431),
        "{answer:?}"
    );
    let h2 = server.anonymous().speaking(Protocol::Http2);
    let answer = h2
        .get("/v2/")
        .header("x-large", "a".repeat(300_000))
        .attempt()
        .await;
    assert!(
        answer.as_ref().map_or(true, |answer| answer.status == 431),
        "{answer:?}"
    );
    let mut many = client.get("/v2/");
    for number in 0..2000 {
        many = many.header(&format!("x-{number}"), "a");
    }
    let answer = many.attempt().await;
    assert!(
        answer.as_ref().is_ok_and(|answer| answer.status == 431),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_header_of_60_kib_is_fine_and_one_of_66_is_not() {
    let server = SERVER.get().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (kib, status) in [(60, 200), (66, 431)] {
            let client = server.admin().speaking(protocol);
            client
                .get("/v2/")
                .header("x-large", "a".repeat(kib << 10))
                .await
                .expect(status);
        }
    }
}

#[tokio::test]
async fn a_header_of_90_fields_is_fine_and_one_of_101_is_not() {
    let server = SERVER.get().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (fields, status) in [(90, 401), (101, 431)] {
            let client = server.anonymous().speaking(protocol);
            let mut request = client.get("/v2/");
            for number in 0..fields {
                request = request.header(&format!("x-{number}"), "a");
            }
            let answer = request.await.expect(status);
            assert_eq!(answer.header("x-frame-options"), "DENY", "{protocol:?}");
            assert!(answer.text().contains("\"errors\""), "{answer}");
        }
    }
}

#[tokio::test]
async fn whoever_dawdles_over_the_header_is_cut_off() {
    let server = SERVER.get().await;
    let mut raw = server.raw().await;
    raw.write("GET /v2/ HTTP/1.1\r\nhost: a\r\n")
        .await
        .expect("the server reads");
    let drip = async {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if raw.write("x-drip: a\r\n").await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(drip.await, "ten seconds of drops were taken for a header");
}

#[tokio::test]
async fn whoever_says_nothing_is_cut_off() {
    let server = SERVER.get().await;
    let mut raw = server.raw().await;
    assert!(
        raw.closes_within(Duration::from_secs(15)).await,
        "a silent connection stays open"
    );
}

#[tokio::test]
async fn whoever_never_finishes_the_handshake_is_cut_off() {
    let server = SERVER.get().await;
    let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .expect("the server accepts");
    let mut byte = [0];
    let end = tokio::time::timeout(
        Duration::from_secs(15),
        tokio::io::AsyncReadExt::read(&mut tcp, &mut byte),
    )
    .await;
    assert!(
        matches!(end, Ok(Ok(0) | Err(_))),
        "a connection without a handshake stays open: {end:?}"
    );
}

#[tokio::test]
async fn whoever_stalls_in_the_body_is_cut_off() {
    let server = SERVER.get().await;
    let admin = server.admin();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        let session = admin.start_upload("library/slow").await;
        let location = session.location();
        let (mut body, patch) = client.patch(&location).streaming();
        let stall = async {
            body.send_data("a beginning".into())
                .await
                .expect("the server reads the body");
            tokio::time::timeout(Duration::from_secs(20), std::future::pending::<()>())
                .await
                .ok();
        };
        let answer = tokio::select! {
            answer = patch.attempt() => answer,
            () = stall => panic!("{protocol:?}: twenty seconds of silence were waited for"),
        };
        assert!(
            answer
                .as_ref()
                .map_or(true, |a| [408, 400].contains(&a.status)),
            "{protocol:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_early_refusal_does_not_wait_for_the_body() {
    let server = SERVER.get().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.anonymous().speaking(protocol);
        let body = vec![0; 20 << 20];
        let path = format!("/v2/library/early/blobs/uploads/?digest={}", sha256(&body));
        for body in [body[..2000].to_vec(), body.clone()] {
            let answer = client
                .request(Method::POST, &path)
                .body(body)
                .attempt()
                .await;
            // over HTTP/1.1 a server may close while the client still writes
            let fair = answer
                .as_ref()
                .map_or(protocol == Protocol::Http1, |answer| answer.status == 401);
            assert!(fair, "{protocol:?}: {answer:?}");
        }
        client.clone().get("/v2/").await.expect(401);
    }
}

#[tokio::test]
async fn a_client_may_wait_for_100_continue() {
    let server = SERVER.get().await;
    let digest = sha256(b"expected");
    let mut raw = server.raw().await;
    let head = format!(
        "POST /v2/library/expect/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: {}\r\n\
         authorization: Basic YWRtaW46R2FudHJ5LUFkbTFu\r\ncontent-length: 8\r\nexpect: 100-continue\r\n\r\n",
        server.host()
    );
    raw.write(head).await.expect("the server reads");
    assert!(raw.says_continue().await, "no 100 Continue came");
    raw.write("expected").await.expect("the server reads");
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(201));
}

#[tokio::test]
async fn connections_from_one_address_are_bounded() {
    let server = Server::with(&[("GANTRY_LIMITS__CONNECTIONS_PER_ADDRESS", "8")]).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let client = server.admin().at(41);
        client.get("/v2/").await.expect(200);
        held.push(client);
    }
    let ninth = server.admin().at(41).get("/v2/").attempt().await;
    assert!(
        ninth
            .as_ref()
            .map_or(true, |answer| answer.status == 429 || answer.status == 503),
        "{ninth:?}"
    );
    server.admin().at(42).get("/v2/").await.expect(200);
    held.pop();
    let again = server.admin().at(41);
    eventually(5, "a place is free again", async || {
        again
            .clone()
            .get("/v2/")
            .attempt()
            .await
            .is_ok_and(|answer| answer.status == 200)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_of_one_address_may_be_bounded() {
    let server = Server::with(&[("GANTRY_LIMITS__REQUESTS_PER_SECOND", "5")]).await;
    let eager = server.anonymous().at(43);
    let mut refused = None;
    for _ in 0..100 {
        let answer = eager.get("/v2/").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a hundred requests at once are more than five a second");
    let wait: u64 = refused
        .header("retry-after")
        .parse()
        .expect("Retry-After is a number of seconds");
    assert!(wait >= 1, "{refused}");
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    server.anonymous().at(44).get("/v2/").await.expect(401);
    eventually(5, "the address is served again", async || {
        (eager.get("/v2/").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_expires() {
    let server = Server::with(&[("GANTRY_UPLOADS__EXPIRY_SECS", "2")]).await;
    let admin = server.admin();
    let fresh = admin.start_upload("library/expiry").await.location();
    let begun = admin.start_upload("library/expiry").await.location();
    let begun = admin
        .patch(&begun)
        .body("a beginning")
        .await
        .expect(202)
        .location();
    for session in [&fresh, &begun] {
        eventually(20, "the session has expired", async || {
            (admin.get(session).await.status == 404).then_some(())
        })
        .await;
        admin
            .patch(session)
            .body("more")
            .await
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}
