//! Chunks whose headers lie, sessions that are none, and bodies shorter or longer than announced.

use hyper::Method;

use super::{Case, REPOSITORY, SERVER, send};
use crate::harness::{Protocol, sha256};

/// `Content-Range` of a first chunk of 10 bytes, and the statuses that are right.
pub(super) const CHUNKS: &[(&str, &[u16])] = &[
    ("0-4", &[400, 416]),
    ("0-10", &[400, 416]),
    ("0-99", &[400, 416]),
    ("1-10", &[416]),
    ("5-14", &[416]),
    ("10-1", &[400, 416]),
    ("9-0", &[400, 416]),
    ("-1", &[400, 416]),
    ("0-", &[400, 416]),
    ("-", &[400, 416]),
    ("a-b", &[400, 416]),
    ("0x0-0x9", &[400, 416]),
    ("0-9-9", &[400, 416]),
    ("-5-4", &[400, 416]),
    ("0 - 9 x", &[400, 416]),
    ("bytes */10", &[400, 416]),
    ("lines 0-9/10", &[400, 416]),
    ("18446744073709551606-18446744073709551615", &[400, 416]),
    ("99999999999999999999-99999999999999999999", &[400, 416]),
    ("0-18446744073709551616", &[400, 416]),
];

#[tokio::test]
async fn chunks_whose_range_lies_are_refused_and_harm_nothing() {
    let server = SERVER.get().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = server.admin().speaking(protocol);
        let session = client.start_upload(REPOSITORY).await.location();
        for (range, status) in CHUNKS {
            let case = Case::new(Method::PATCH, &session)
                .header("content-range", range)
                .body("0123456789");
            let codes = &["BLOB_UPLOAD_INVALID", "SIZE_INVALID", "RANGE_INVALID"];
            send(&client, &case.is(status, codes))
                .await
                .unwrap_or_else(|why| panic!("{protocol:?}: {why}"));
        }
        let patch = client
            .patch(&session)
            .header("content-range", "0-9")
            .body("0123456789");
        let done = patch.await.expect(202);
        assert_eq!(done.header("range"), "0-9", "refused chunks must not count");
        let digest = sha256(b"0123456789");
        client
            .put(&done.location_with(&format!("digest={digest}")))
            .await
            .expect(201);
    }
    server.still_serves().await;
}

#[tokio::test]
async fn sessions_that_are_none_are_404() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let real = admin.start_upload(REPOSITORY).await.location();
    let (path, query) = real.split_once('?').unwrap_or((real.as_str(), ""));
    let mut last: Vec<char> = path.chars().collect();
    if let Some(character) = last.last_mut() {
        *character = if *character == '0' { '1' } else { '0' };
    }
    let other: String = last.into_iter().collect();
    let state = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    let sessions = [
        format!("{other}{state}"),
        format!("/v2/{REPOSITORY}/blobs/uploads/00000000-0000-0000-0000-000000000000"),
        format!("/v2/{REPOSITORY}/blobs/uploads/x"),
        format!("/v2/{REPOSITORY}/blobs/uploads/{}", "a".repeat(2000)),
        format!("/v2/{REPOSITORY}/blobs/uploads/%ff"),
        format!("/v2/{REPOSITORY}/blobs/uploads/00000000-0000-0000-0000-000000000000?_state=x"),
    ];
    for session in &sessions {
        for method in [Method::GET, Method::PATCH, Method::PUT, Method::DELETE] {
            let separator = if session.contains('?') { '&' } else { '?' };
            let path = if method == Method::PUT {
                format!("{session}{separator}digest={}", sha256(b"x"))
            } else {
                session.clone()
            };
            let case = Case::new(method, path)
                .body("x")
                .is(&[404, 400], &["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"]);
            send(&admin, &case)
                .await
                .unwrap_or_else(|why| panic!("{why}"));
        }
    }
    admin.get(&real).await.expect(204);
}

#[tokio::test]
async fn a_state_that_was_tampered_with_is_refused() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let session = admin.start_upload(REPOSITORY).await.location();
    let Some((path, query)) = session.split_once('?') else {
        return;
    };
    let flip = |byte: char| if byte == 'A' { 'B' } else { 'A' };
    for at in [10, query.len() / 2, query.len() - 2] {
        let tampered: String = query
            .chars()
            .enumerate()
            .map(|(i, c)| if i == at { flip(c) } else { c })
            .collect();
        if tampered == query {
            continue;
        }
        let answer = admin.get(&format!("{path}?{tampered}")).await;
        assert!([400, 404].contains(&answer.status), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced_stores_nothing() {
    let server = SERVER.get().await;
    let admin = server.admin();
    let authorization = "Basic YWRtaW46R2FudHJ5LUFkbTFu";
    let digest = sha256(b"0123456789 and too little");
    let session = admin.start_upload(REPOSITORY).await;
    let path = session.location_with(&format!("digest={digest}"));
    let mut raw = server.raw().await;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {authorization}\r\ncontent-length: 1000\r\n\r\n",
        server.host()
    );
    raw.write(format!("{head}0123456789 and too little"))
        .await
        .expect("the server reads");
    raw.cut();
    admin
        .get(&format!("/v2/{REPOSITORY}/blobs/{digest}"))
        .await
        .expect_error(404, "BLOB_UNKNOWN");

    // more than announced: the rest is the next request, and it is none
    let bytes = b"0123456789";
    let session = admin.start_upload(REPOSITORY).await;
    let path = session.location_with(&format!("digest={}", sha256(bytes)));
    let mut raw = server.raw().await;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {authorization}\r\ncontent-length: 10\r\n\r\n",
        server.host()
    );
    raw.write(format!("{head}0123456789 and too much"))
        .await
        .expect("the server reads");
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(201));
    if let Some(answer) = raw.answer().await {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    server.still_serves().await;
}
