//! Bodies that nobody reads, since their request is refused: the answer comes, says whether the connection can be used
//! on, and that is true. Nobody else is the worse for them.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{Raw, Server, Shared};

static SERVER: Shared = Shared::new(&[]);

/// The balancer is 127.0.0.50.
const BALANCER: u8 = 50;
/// Where those are that send many.
const MANY: u8 = 60;

/// The header of a push that is refused, with more fields.
fn refused(server: &Server, fields: &str) -> String {
    let host = server.host();
    format!("PUT /v2/library/a/manifests/latest HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n\r\n")
}

async fn raw(server: &Server, last: u8) -> Raw {
    let connected = server.raw_from(last, &[]).await;
    connected.expect("the server accepts a connection")
}

/// Whether the next request on a connection is answered.
async fn serves_on(server: &Server, raw: &mut Raw) -> bool {
    let next = format!("GET /v2/ HTTP/1.1\r\nhost: {}\r\n\r\n", server.host());
    raw.write(next).await.is_ok()
        && raw
            .answer()
            .await
            .is_some_and(|answer| answer.status == 401)
}

/// Sends a header, and a body after the answer to it, which is returned: its status, and what it says of the connection.
async fn push(server: &Server, raw: &mut Raw, fields: &str, body: &[u8]) -> (u16, Option<String>) {
    let sent = raw.write(refused(server, fields)).await;
    sent.expect("the server reads");
    let answer = raw.answer().await.expect("it answers");
    // It may be closed before it has read all.
    let _ = raw.write(body).await;
    (answer.status, answer.connection)
}

#[tokio::test]
async fn a_connection_that_ends_says_so() {
    let server = SERVER.get().await;
    for fields in [
        "content-length: 5000000",
        "content-length: 5000\r\nexpect: 100-continue",
        "transfer-encoding: chunked",
    ] {
        let mut raw = raw(&server, 1).await;
        let (status, connection) = push(&server, &mut raw, fields, &[]).await;
        assert_eq!(
            (status, connection.as_deref()),
            (401, Some("close")),
            "{fields}"
        );
        let ended = raw.ends_within(Duration::from_secs(10)).await;
        assert!(ended, "{fields}: it stays open");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_say_so_is_served_on() {
    let server = SERVER.get().await;
    for length in [100, 9_000, 100_000, 900_000] {
        let mut raw = raw(&server, 2).await;
        let fields = format!("content-length: {length}");
        let body = vec![b'a'; length];
        let (status, connection) = push(&server, &mut raw, &fields, &body).await;
        assert_eq!((status, connection), (401, None), "{length} bytes");
        assert!(serves_on(&server, &mut raw).await, "{length} bytes");
    }
}

#[tokio::test]
async fn the_answer_comes_however_many_send_bodies() {
    let server = Server::start().await;
    let body = vec![b'a'; 200_000];
    let send = async |_| {
        let mut raw = raw(&server, MANY).await;
        let head = refused(&server, "content-length: 200000");
        raw.write(head).await.expect("the server reads");
        // It may close before it has read all.
        let _ = raw.write(&body).await;
        raw.answer().await.map(|answer| answer.status)
    };
    let answered = join_all((0..60).map(send)).await;
    assert!(
        answered.iter().all(|status| *status == Some(401)),
        "{answered:?}"
    );
}

/// What comes of a body after the answer is no header, for which there is little memory.
#[tokio::test]
async fn the_rest_of_a_refused_body_takes_no_memory() {
    let server = Server::with(&[("GANTRY_LIMITS__BODY_MEMORY_MIB", "16")]).await;
    let body = vec![b'a'; 20_000];
    let mut held = Vec::new();
    for number in 0..30 {
        let mut raw = raw(&server, MANY).await;
        push(&server, &mut raw, "content-length: 20000", &body).await;
        assert!(serves_on(&server, &mut raw).await, "connection {number}");
        held.push(raw);
    }
}

/// Behind a balancer each client has its own share of what is drained.
#[tokio::test]
async fn clients_of_a_balancer_have_shares() {
    let server = Server::with(&[("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.50/32")]).await;
    let fields = |client: &str| format!("content-length: 1000\r\nx-forwarded-for: {client}");
    let hold = async |_| {
        let mut raw = raw(&server, BALANCER).await;
        let (_, connection) = push(&server, &mut raw, &fields("203.0.113.1"), &[]).await;
        (raw, connection)
    };
    let held = join_all((0..60).map(hold)).await;
    let closed = held.iter().filter(|(_, connection)| connection.is_some());
    assert!(closed.count() >= 20, "one client was given all places");
    let mut other = raw(&server, BALANCER).await;
    let (_, connection) = push(&server, &mut other, &fields("198.51.100.9"), &[]).await;
    assert_eq!(connection, None, "another client was given none");
}

/// A header beyond 8 KiB that comes in pieces takes memory: where there is none, that is said.
#[tokio::test]
async fn a_header_without_memory_is_503() {
    let server = Server::with(&[("GANTRY_LIMITS__BODY_MEMORY_MIB", "16")]).await;
    let begin = format!("GET /v2/ HTTP/1.1\r\nhost: {}\r\nx: ", server.host());
    let mut refused = 0;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut raw = raw(&server, MANY).await;
        raw.write(&begin).await.expect("the server reads");
        raw.write([b'a'; 10_000]).await.expect("the server reads");
        if let Some(answer) = raw.answer_if_any().await {
            assert_eq!(answer.status, 503);
            assert!(
                answer.text().contains("TOOMANYREQUESTS"),
                "{}",
                answer.text()
            );
            refused += 1;
        }
        held.push(raw);
    }
    assert!(refused > 0, "there was memory for all");
    drop(held);
    server.still_serves().await;
}
