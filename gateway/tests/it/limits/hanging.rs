//! Bodies that never end: whoever may not send one is refused without it being read, and what is read is bounded.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::raw_h2::{DATA, GOAWAY, HEADERS};
use crate::harness::{Protocol, Server, Shared};

static SERVER: Shared = Shared::new(&[]);
const BODIES: usize = 2_000;
/// What they may take all together.
const MOST_KIB: u64 = 40 << 10;

const FORM: &str = "/service/token";
/// Almost all that a form may have, and never its end.
const PART: usize = (64 << 10) - 1;

#[tokio::test]
async fn nobody_reads_the_body_of_a_caller_who_may_not() {
    let server = SERVER.get().await;
    let stranger = server.stranger().await;
    let private = server.private_project().await;
    let members = private.members();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let anonymous = server.anonymous().speaking(protocol);
        let stranger = stranger.clone().speaking(protocol);
        for (client, path, status) in [
            (&anonymous, "/api/v2.0/users", 401),
            (&stranger, "/api/v2.0/users", 403),
            (&anonymous, "/api/v2.0/projects", 401),
            (&anonymous, members.as_str(), 401),
            (&stranger, members.as_str(), 403),
        ] {
            let (_never, request) = client.post(path).streaming();
            request.await.expect(status);
        }
        for (client, path, status) in [
            (&anonymous, "/api/v2.0/users/1", 401),
            (&stranger, "/api/v2.0/users/1", 403),
            (&anonymous, "/api/v2.0/users/1/password", 401),
            (&stranger, "/api/v2.0/users/1/sysadmin", 403),
            (&stranger, "/api/v2.0/quotas/1", 403),
            (&anonymous, "/v2/library/a/manifests/latest", 401),
        ] {
            let (_never, request) = client.put(path).streaming();
            request.await.expect(status);
        }
    }
}

#[tokio::test]
async fn a_short_body_has_to_be_there_in_time() {
    let server = Server::with(&[
        ("GANTRY_LIMITS__SHORT_BODY_SECS", "2"),
        ("GANTRY_LIMITS__MIN_BYTES_PER_SECOND", "0"),
    ])
    .await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let admin = server.admin().speaking(protocol);
        for request in [
            admin.post("/api/v2.0/projects"),
            admin.put("/v2/library/a/manifests/latest"),
            admin.post(FORM),
        ] {
            let (mut body, request) = request.streaming();
            let drip = async {
                while body.send_data(" ".into()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                std::future::pending::<()>().await;
            };
            let answer = tokio::select! {
                answer = tokio::time::timeout(Duration::from_secs(40), request) => answer,
                () = drip => unreachable!(),
            };
            answer
                .expect("a body was waited for without end")
                .expect(408);
        }
    }
}

/// As many unfinished forms as can be had over HTTP/1.1, from four addresses.
#[tokio::test]
async fn unfinished_bodies_over_http1_take_little_memory() {
    let server = Server::start().await;
    server.still_serves().await;
    let idle = server.memory_kib("VmRSS");
    let head = format!(
        "POST {FORM} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
        server.host(),
        PART + 1
    );
    let hang = async |number: usize| {
        let last = 60 + u8::try_from(number % 4).expect("it is small");
        let mut raw = server.raw_from(last, &[]).await.ok()?;
        raw.write(&head).await.ok()?;
        // Whoever is refused closes; that is as good.
        let _ = raw.write(vec![b'a'; PART]).await;
        Some(raw)
    };
    let mut held = Vec::new();
    for first in (0..BODIES).step_by(100) {
        held.extend(join_all((first..first + 100).map(hang)).await);
    }
    let taken = server.memory_kib("VmHWM").saturating_sub(idle);
    assert!(taken < MOST_KIB, "{taken} KiB");
    server.still_serves().await;
}

/// As many over HTTP/2.
#[tokio::test]
async fn unfinished_bodies_over_http2_take_little_memory() {
    let server = Server::start().await;
    server.still_serves().await;
    let idle = server.memory_kib("VmRSS");
    let host = server.host();
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", FORM),
        (":authority", host.as_str()),
    ];
    let mut held = Vec::new();
    for number in 0..BODIES.div_ceil(128) {
        let last = 60 + u8::try_from(number % 4).expect("it is small");
        let mut h2 = server.raw_h2_from(last).await;
        for stream in (1..256).step_by(2) {
            h2.begin(stream, &fields, false)
                .await
                .expect("the server reads");
        }
        // All that the windows let through, and more.
        for stream in (1..256).step_by(2) {
            let sent = h2.write_frame(DATA, 0, stream, &[b'a'; 512]).await;
            sent.expect("the server reads");
        }
        held.push(h2);
    }
    let taken = server.memory_kib("VmHWM").saturating_sub(idle);
    assert!(taken < MOST_KIB, "{taken} KiB");
    server.still_serves().await;
}

/// Headers of a thousand fields that take one byte each on the wire, on requests that never end.
#[tokio::test]
async fn a_bomb_of_fields_over_http2_takes_little_memory() {
    let server = Server::start().await;
    server.still_serves().await;
    let idle = server.memory_kib("VmRSS");
    // `:method POST`, `:scheme https`, `:path /`, and `a: b`, which is named by its number from then on.
    let (start, new, again) = (b"\x83\x87\x84", b"\x40\x01a\x01b", b"\xbe");
    let mut held = Vec::new();
    for number in 0..24 {
        let mut h2 = server.raw_h2_from(60 + number % 4).await;
        for stream in (1..240).step_by(2) {
            let mut block = start.to_vec();
            if stream == 1 {
                block.extend(new);
            }
            block.extend(again.repeat(1_000));
            // One that is closed instead is as good.
            if h2.write_frame(HEADERS, 4, stream, &block).await.is_err() {
                break;
            }
        }
        held.push(h2);
    }
    let taken = server.memory_kib("VmHWM").saturating_sub(idle);
    assert!(taken < MOST_KIB, "{taken} KiB");
    server.still_serves().await;
}

/// A connection whose client sends ahead without being asked to.
#[tokio::test]
async fn what_nobody_asked_for_is_not_taken_in() {
    let server = SERVER.get().await;
    let host = server.host();
    let stranger = [
        (":method", "PUT"),
        (":scheme", "https"),
        (":path", "/api/v2.0/users/1"),
        (":authority", host.as_str()),
    ];
    let mut h2 = server.raw_h2().await;
    // A handshake, then more than the 64 KiB that a connection without uploads lets through, at once.
    for stream in [1, 3, 5, 7, 9] {
        h2.begin(stream, &stranger, false)
            .await
            .expect("the server reads");
        // The server may close before it has read all.
        let _ = h2.write_frame(DATA, 0, stream, &[b'a'; 16 << 10]).await;
    }
    let mut refused = 0;
    while let Some((kind, _)) = h2.next_event().await {
        match kind {
            HEADERS => refused += 1,
            GOAWAY => break,
            _ => {}
        }
        if refused == 5 {
            break;
        }
    }
    server.still_serves().await;
}
