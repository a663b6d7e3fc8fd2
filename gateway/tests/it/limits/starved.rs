//! One client takes all it can get and never moves on: others are served as if it were not there, and it is cut off.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{Client, Project, Raw, RawH2, Server, noise, sha256};

/// Where the slow ones are, and the others.
const SLOW: u8 = 60;
const OTHER: u8 = 2;

const SIZE: usize = 4 << 20;
/// Seconds that slow ones are borne: longer than any test takes, or a moment.
const FOR_EVER: &str = "3600";
const A_MOMENT: &str = "3";

/// A server with little memory, so that a few slow ones are enough to ask for all of it.
async fn server(patience: &str) -> Server {
    Server::with(&[
        ("GANTRY_LIMITS__BODY_MEMORY_MIB", "16"),
        ("GANTRY_LIMITS__IDLE_SECS", patience),
    ])
    .await
}

async fn push(client: &Client, repository: &str, bytes: &[u8]) -> String {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(bytes));
    client.post(&path).body(bytes.to_vec()).await.expect(201);
    format!("/v2/{repository}/blobs/{}", sha256(bytes))
}

/// Another client pushes and pulls beside slow ones that are borne for ever: waiting for them would end in 503.
async fn others_are_served(server: &Server, project: &Project<'_>) {
    let other = server.admin().at(OTHER);
    for round in 0..2 {
        let bytes = noise(&format!("other {round}"), SIZE);
        let repository = project.repository(&format!("other-{round}"));
        let path = push(&other, &repository, &bytes).await;
        assert_eq!(other.get(&path).await.expect(200).body, bytes);
    }
}

async fn memory_is_back(server: &Server, before: f64) {
    crate::harness::eventually(90, "all memory is free again", async || {
        let free = server.metric("gantry_body_memory_free_bytes").await;
        (free == before).then_some(())
    })
    .await;
}

/// 200 downloads of public content over HTTP/2, of a client that takes nothing in.
async fn unread_over_http2(server: &Server, path: &str) -> Vec<RawH2> {
    let host = server.host();
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path),
        (":authority", host.as_str()),
    ];
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut h2 = server.raw_h2_closed(SLOW).await;
        for stream in (1..200).step_by(2) {
            h2.begin(stream, &fields, true)
                .await
                .expect("the server reads");
        }
        held.push(h2);
    }
    held
}

async fn slow_ones_have_their_share(server: &Server, before: f64) {
    crate::harness::eventually(30, "the slow ones have their share", async || {
        let free = server.metric("gantry_body_memory_free_bytes").await;
        (free < before * 0.6).then_some(())
    })
    .await;
}

#[tokio::test]
async fn unread_http2_downloads_starve_nobody() {
    let server = server(FOR_EVER).await;
    let project = server.public_project().await;
    let path = push(&server.admin(), &project.repository("a"), &noise("a", SIZE)).await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let held = unread_over_http2(&server, &path).await;
    slow_ones_have_their_share(&server, before).await;
    others_are_served(&server, &project).await;
    drop(held);
    memory_is_back(&server, before).await;
}

#[tokio::test]
async fn unread_http2_downloads_are_cut() {
    let server = server(A_MOMENT).await;
    let project = server.public_project().await;
    let path = push(&server.admin(), &project.repository("a"), &noise("a", SIZE)).await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let held = unread_over_http2(&server, &path).await;
    memory_is_back(&server, before).await;
    drop(held);
}

/// Small answers count as those of their connection, but not each of a hundred that nobody reads.
#[tokio::test]
async fn unread_small_answers_over_http2_take_their_memory() {
    let server = server(FOR_EVER).await;
    server.still_serves().await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let host = server.host();
    // Each byte of it is six in the answer.
    let path = format!("/{}", "%01".repeat(1_200));
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path.as_str()),
        (":authority", host.as_str()),
    ];
    let mut h2 = server.raw_h2_closed(SLOW).await;
    for stream in (1..200).step_by(2) {
        let begun = h2.begin(stream, &fields, true).await;
        begun.expect("the server reads");
    }
    let taken = f64::from(90 * 7_000);
    crate::harness::eventually(30, "they have places", async || {
        let free = server.metric("gantry_body_memory_free_bytes").await;
        (free < before - taken).then_some(())
    })
    .await;
    drop(h2);
    memory_is_back(&server, before).await;
}

/// 60 downloads of public content over HTTP/1.1 that nobody reads.
async fn unread_over_http1(server: &Server, path: &str) -> Vec<Raw> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.host());
    let read = async |_| {
        let mut raw = server.raw_from(SLOW, &[]).await.expect("a connection");
        raw.write(&request).await.expect("the server reads");
        raw
    };
    join_all((0..60).map(read)).await
}

#[tokio::test]
async fn slow_http1_readers_starve_nobody() {
    let server = server(FOR_EVER).await;
    let project = server.public_project().await;
    let large = noise("a", 16 << 20);
    let path = push(&server.admin(), &project.repository("a"), &large).await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let held = unread_over_http1(&server, &path).await;
    slow_ones_have_their_share(&server, before).await;
    others_are_served(&server, &project).await;
    drop(held);
    memory_is_back(&server, before).await;
}

#[tokio::test]
async fn slow_http1_readers_are_cut() {
    let server = server(A_MOMENT).await;
    let project = server.public_project().await;
    let large = noise("a", 16 << 20);
    let path = push(&server.admin(), &project.repository("a"), &large).await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let held = unread_over_http1(&server, &path).await;
    memory_is_back(&server, before).await;
    for mut raw in held {
        let ended = raw.ends_within(Duration::from_secs(60)).await;
        assert!(ended, "a connection that nobody reads stays open");
    }
}

/// The status of an upload of a byte per second, if it ends within the time.
async fn trickle(admin: &Client, repository: &str, time: Duration) -> Option<u16> {
    let location = admin.start_upload(repository).await.location();
    let (mut body, patch) = admin.patch(&location).streaming();
    let drip = async {
        while body.send_data("a".into()).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = tokio::time::timeout(time, patch.attempt()) => answer.ok()?,
        () = drip => return None,
    };
    // The server may close before the client has read the answer.
    Some(answer.map_or(408, |answer| answer.status))
}

#[tokio::test]
async fn trickled_uploads_starve_nobody() {
    let server = server(FOR_EVER).await;
    let project = server.private_project().await;
    let before = server.metric("gantry_body_memory_free_bytes").await;
    let slow = async |number: usize| {
        let repository = project.repository(&format!("slow-{number}"));
        trickle(&server.admin().at(SLOW), &repository, Duration::MAX).await
    };
    let others = async {
        slow_ones_have_their_share(&server, before).await;
        others_are_served(&server, &project).await;
    };
    tokio::select! {
        _ = join_all((0..40).map(slow)) => panic!("they were cut"),
        () = others => {}
    }
}

#[tokio::test]
async fn trickled_uploads_are_cut() {
    let server = server(A_MOMENT).await;
    let project = server.private_project().await;
    let slow = async |number: usize| {
        let repository = project.repository(&format!("slow-{number}"));
        let time = Duration::from_secs(90);
        trickle(&server.admin().at(SLOW), &repository, time).await
    };
    let statuses = join_all((0..8).map(slow)).await;
    let cut = |status: &Option<u16>| *status == Some(408);
    assert!(statuses.iter().all(cut), "{statuses:?}");
}

/// One that is slow but keeps to the least speed is not cut.
#[tokio::test]
async fn a_slow_line_is_served() {
    let server = Server::with(&[
        ("GANTRY_LIMITS__IDLE_SECS", "2"),
        ("GANTRY_LIMITS__MIN_BYTES_PER_SECOND", "100"),
    ])
    .await;
    let admin = server.admin();
    for protocol in [
        crate::harness::Protocol::Http1,
        crate::harness::Protocol::Http2,
    ] {
        let admin = admin.clone().speaking(protocol);
        let location = admin.start_upload("library/slow-line").await.location();
        let (mut body, patch) = admin.patch(&location).streaming();
        let drip = async {
            for _ in 0..12 {
                body.send_data(vec![0; 100].into())
                    .await
                    .expect("the server reads");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            drop(body);
        };
        let (answer, ()) = tokio::join!(patch, drip);
        let answer = answer.expect(202);
        assert_eq!(answer.header("range"), "0-1199");
    }
}
