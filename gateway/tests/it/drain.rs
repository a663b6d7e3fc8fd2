//! SIGTERM: what has begun is finished whole, nothing new begins, and the process ends well.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::model::{Clock as _, SystemClock};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::net::TcpStream;

use crate::harness::{Protocol, Server, eventually, image, noise, objects, sha256, unnamed};

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let server = Server::start().await;
    let (kept, h2) = (server.admin(), server.admin().speaking(Protocol::Http2));
    kept.get("/v2/").await.expect(200);
    h2.get("/v2/").await.expect(200);
    let silent = server.raw().await;
    let begun = Instant::now();
    server.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "idle connections held it for {:?}",
        begun.elapsed()
    );
    drop(silent);
}

#[tokio::test]
async fn a_client_that_does_not_answer_does_not_hold_the_server() {
    let server = Server::start().await;
    // it says hello, and reads and answers nothing from then on
    let frozen = server.raw_h2().await;
    let begun = Instant::now();
    server.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "it took {:?}",
        begun.elapsed()
    );
    drop(frozen);
}

/// What runs when SIGTERM comes, over each protocol.
async fn is_finished_whole(protocol: Protocol) {
    let server = Server::start().await;
    let admin = server.admin();
    let large = noise("a slow download", 24 << 20);
    let digest = admin.push_blob("library/drain", large.clone()).await;
    let sent = noise("a slow upload", 900_000);
    let session = admin.start_upload("library/drain").await;
    let (downloader, uploader) = (
        server.admin().speaking(protocol),
        server.admin().speaking(protocol),
    );

    let operator = server.operator();
    let download = downloader
        .get(&format!("/v2/library/drain/blobs/{digest}"))
        .open()
        .await;
    assert_eq!(download.status(), 200);
    let mut download = download.into_body();
    let mut received = Vec::new();
    let frame = download
        .frame()
        .await
        .expect("there is more")
        .expect("the body is sound");
    received.extend_from_slice(frame.data_ref().expect("a frame has data"));

    let path = session.location_with(&format!("digest={}", sha256(&sent)));
    let (mut body, put) = uploader.put(&path).streaming();
    let rest = async {
        body.send_data(sent.slice(..600_000))
            .await
            .expect("the server reads the body");
        eventually(10, "the upload has begun", async || {
            let metrics = operator.get("/metrics").await.text();
            metrics.contains("gantry_uploads_open 1\n").then_some(())
        })
        .await;
        server.ask_to_stop();
        eventually(10, "new connections are refused", async || {
            TcpStream::connect(("127.0.0.1", server.port()))
                .await
                .is_err()
                .then_some(())
        })
        .await;
        assert!(!server.has_ended(), "it ended while requests were running");
        for piece in sent[600_000..].chunks(100_000) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            body.send_data(Bytes::copy_from_slice(piece))
                .await
                .expect("the server reads the body");
        }
        drop(body);
    };
    let (stored, ()) = tokio::join!(put.into_future(), rest);
    stored.expect(201);
    while let Some(frame) = download.frame().await {
        let frame = frame.expect("the body is sound to its end");
        if let Some(data) = frame.data_ref() {
            received.extend_from_slice(data);
        }
        if received.len() < (4 << 20) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(
        received == large,
        "{} of {} bytes came",
        received.len(),
        large.len()
    );
    let status = server.ended(30).await;
    assert!(status.success(), "it ended with {status}");

    server.restart().await;
    let kept = server
        .admin()
        .get(&format!("/v2/library/drain/blobs/{}", sha256(&sent)))
        .await
        .expect(200);
    assert!(
        kept.body == sent,
        "what was acknowledged while draining has to stay"
    );
}

#[tokio::test]
async fn what_runs_over_http1_is_finished_whole() {
    is_finished_whole(Protocol::Http1).await;
}

#[tokio::test]
async fn what_runs_over_h2_is_finished_whole() {
    is_finished_whole(Protocol::Http2).await;
}

/// Whoever is not told that the server stops would take a closed connection for a failure.
#[tokio::test]
async fn requests_that_come_in_are_answered_or_never_begun() {
    let server = Server::start().await;
    let pushed = image("drain under load");
    server
        .admin()
        .push_image("library/load", "latest", &pushed)
        .await;
    let mut clients = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2]
        .into_iter()
        .cycle()
        .take(16)
    {
        let client = server.admin().speaking(protocol);
        let digest = pushed.digest.clone();
        clients.push(tokio::spawn(async move {
            let mut answered = 0;
            loop {
                match client
                    .get("/v2/library/load/manifests/latest")
                    .attempt()
                    .await
                {
                    Ok(answer) => {
                        assert_eq!((answer.status, answer.digest()), (200, digest.as_str()));
                        answered += 1;
                    }
                    Err(error) => return (answered, format!("{error:?}")),
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop().await;
    for client in clients {
        let (answered, error) = client.await.expect("every answer was whole and right");
        assert!(answered > 0, "nothing was answered: {error}");
        // a connection may close between two requests, but no answer that began may be cut
        assert!(!error.contains("Body"), "an answer was cut: {error}");
    }
}

/// A new binary takes the place of an old one: nobody notices but by the version.
#[tokio::test]
async fn a_successor_takes_over_and_no_request_fails() {
    let server = Server::start().await;
    let pushed = image("handed over");
    server
        .admin()
        .push_image("library/over", "latest", &pushed)
        .await;
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for protocol in [
        Protocol::Http1,
        Protocol::Http2,
        Protocol::Http1,
        Protocol::Http2,
    ] {
        let (client, done) = (server.admin().speaking(protocol), done.clone());
        clients.push(tokio::spawn(async move {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                // each request on a connection of its own
                let answer = client
                    .clone()
                    .get("/v2/library/over/manifests/latest")
                    .attempt()
                    .await;
                assert!(
                    answer.as_ref().is_ok_and(|answer| answer.status == 200),
                    "{answer:?}"
                );
                answered += 1;
            }
            answered
        }));
    }
    let (sent, uploader) = (noise("across the hand-over", 900_000), server.admin());
    let session = uploader.start_upload("library/over").await;
    let path = session.location_with(&format!("digest={}", sha256(&sent)));
    let (mut body, put) = uploader.put(&path).streaming();
    let across = async {
        body.send_data(sent.slice(..400_000))
            .await
            .expect("the server reads the body");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rest = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            body.send_data(sent.slice(400_000..))
                .await
                .expect("the server reads the body");
            drop(body);
        };
        tokio::join!(server.hand_over(), rest);
    };
    let (stored, ()) = tokio::join!(put.into_future(), across);
    stored.expect(201);
    done.store(true, Ordering::Relaxed);
    for client in clients {
        let answered: u32 = client.await.expect("no request failed");
        assert!(answered > 0);
    }
    let kept = server
        .admin()
        .get(&format!("/v2/library/over/blobs/{}", sha256(&sent)))
        .await
        .expect(200);
    assert!(kept.body == sent, "what was acknowledged has to stay");
    server.still_serves().await;
}

/// A process that did not stop in time would be killed, with all that it still has to write.
#[tokio::test]
async fn a_collection_at_work_is_broken_off() {
    let server = Server::with(&[("GANTRY_GC__GRACE_SECS", "1")]).await;
    // One in a minute: behind the first it waits that long, and is at work all the time.
    server.cli_prints(&["gc", "rate", "1"]).await;
    for number in 0..3 {
        let bytes = noise(&format!("broken off {number}"), 1_000);
        server.admin().push_blob("library/drain", bytes).await;
    }
    let removed = async |count: f64| {
        let found = server.metric("gantry_gc_links_removed_total").await;
        (found == count).then_some(())
    };
    eventually(20, "the collection is at work", async || removed(1.0).await).await;
    let begun = Instant::now();
    server.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it waited for the collection: {:?}",
        begun.elapsed()
    );
    server.cli_prints(&["gc", "rate", "0"]).await;
    server.restart().await;
    eventually(20, "the rest is gone", async || removed(2.0).await).await;
}

/// How many objects an earlier process left: enough to be swept for a while.
const LEFT: u64 = 5_000;

/// What is there at the start is an earlier process's. What comes later may be a successor's, who has written it and
/// is about to say so in a row.
#[tokio::test]
async fn a_start_up_sweep_ends_before_a_hand_over() {
    let server = Server::start().await;
    server.stop().await;
    let (store, hour) = (server.data().join("blobs"), SystemClock.now().hour());
    let leave = || {
        for number in 0..LEFT {
            unnamed(&store, hour - 1, number);
        }
    };
    leave();
    // The last that is swept: of the last hour, with the last name.
    let last = unnamed(&store, hour, LEFT);
    server.restart().await;
    let begun = unnamed(&store, hour, 0);
    eventually(60, "what was left is gone", async || {
        (!last.exists()).then_some(())
    })
    .await;
    assert!(begun.exists(), "what came after the start was swept");

    server.stop().await;
    leave();
    server.restart().await;
    // Not the name of before, which the start has found.
    let begun = unnamed(&store, hour, LEFT + 1);
    server.hand_over().await;
    let before = store.join((hour - 1).to_string());
    let left = || {
        let found = objects(&store);
        found
            .iter()
            .filter(|path| path.starts_with(&before))
            .count()
    };
    let at_the_end = left();
    server.still_serves().await;
    assert_eq!(left(), at_the_end, "somebody sweeps on");
    assert!(begun.exists(), "what a successor writes was swept");
}
