//! Bounds of connections: of one address, of one /64, of all; and how long they may do nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{RawH2, Server, Shared, eventually};

/// The balancer is 127.0.0.50.
const BALANCER: u8 = 50;

static SERVER: Shared = Shared::new(&[("GANTRY_LIMITS__HEADER_SECS", "2")]);

fn proxied(client: &str) -> Vec<u8> {
    format!("PROXY TCP6 {client} 2001:db8:ffff::1 1234 443\r\n").into_bytes()
}

#[tokio::test]
async fn the_addresses_of_one_64_are_bounded_together() {
    let server = Server::with(&[
        ("GANTRY_SERVER__TRUSTED_PROXIES", "127.0.0.50/32"),
        ("GANTRY_SERVER__PROXY_PROTOCOL", "true"),
        // None of them is cut off before all have come.
        ("GANTRY_LIMITS__HEADER_SECS", "300"),
    ])
    .await;
    let mut held = Vec::new();
    for number in 0..10_000 {
        let client = format!("2001:db8:0:1:{number:x}::{number:x}");
        held.extend(server.raw_from(BALANCER, &proxied(&client)).await.ok());
    }
    assert_eq!(held.len(), 1_024);
    for client in ["2001:db8:0:2::1", "2001:db8:1:1::1"] {
        let other = server.raw_from(BALANCER, &proxied(client)).await;
        assert!(other.is_ok(), "{client} was refused");
    }
    server.still_serves().await;
}

#[tokio::test]
async fn all_connections_are_bounded_and_the_last_are_not_one_clients() {
    let server = Server::with(&[
        ("GANTRY_LIMITS__CONNECTIONS", "30"),
        ("GANTRY_LIMITS__HEADER_SECS", "60"),
    ])
    .await;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.extend(server.raw_from(60, &[]).await.ok());
    }
    assert_eq!(held.len(), 20);
    let mut others = Vec::new();
    for last in 61..=90 {
        others.extend(server.raw_from(last, &[]).await.ok());
    }
    assert!((5..=10).contains(&others.len()), "{}", others.len());
    drop(held);
    eventually(10, "a place is free again", async || {
        server.raw_from(91, &[]).await.ok()
    })
    .await;
    assert!(server.metric("gantry_connections_refused_total").await > 0.0);
}

#[tokio::test]
async fn whoever_agrees_on_http2_and_says_nothing_is_cut_off() {
    let server = SERVER.get().await;
    let mut h2 = RawH2::without_preface(&server).await;
    assert!(h2.ends_within(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn whoever_greets_and_asks_for_nothing_is_told_to_leave() {
    let server = SERVER.get().await;
    let mut h2 = server.raw_h2().await;
    assert!(h2.ends_within(Duration::from_secs(15)).await);
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let server = SERVER.get().await;
    let mut h2 = server.raw_h2().await;
    let pinged = async {
        for _ in 0..60 {
            if h2.write_frame(6, 0, 0, b"12345678").await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        false
    };
    assert!(pinged.await, "fifteen seconds of pings kept the connection");
}

/// The same port at two addresses: what a connection gets is told by the listener that took it.
#[tokio::test]
async fn listeners_with_the_same_port_are_told_apart() {
    let server = Server::start().await;
    let beside = format!("127.0.0.77:{}", server.port());
    server.set(&[("GANTRY_SERVER__REDIRECT_LISTEN", &beside)]);
    server.stop().await;
    server.restart().await;
    server.still_serves().await;
    let mut redirect = TcpStream::connect(&beside).await.expect("it listens");
    let request = "GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    redirect
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    redirect
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
}

#[tokio::test]
async fn the_raised_limit_of_open_files_is_said() {
    let server = Server::start().await;
    server.stop().await;
    server.restart_with_open_files(1_024).await;
    let log = server.log();
    let said = log
        .lines()
        .find(|line| line.contains("raised the open-file limit from=1024 to="));
    assert!(said.is_some(), "{log}");
}
