//! Clients at one address that take all they can get and never move on, and a client at another address that has to be
//! served beside them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use testkit::content::Blob;
use testkit::harness::RawH2;
use testkit::meter::{Figures, figures, parallel};
use testkit::registry::{Call, Registry, Way};
use testkit::target::Target;
use tokio::time::{sleep, timeout};

/// What the kernel keeps for a slow client; a few KiB are as good as nothing.
const UNREAD: u32 = 4 << 10;
/// The ends of the addresses where the slow ones are, and the other one.
const SLOW: u8 = 60;
const OTHER: u8 = 61;
/// How long the slow ones have to take what they get, and until all have to be gone after that.
const SETTLING: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(150);
/// HTTP/2 connections that ask for a blob and take nothing in, and requests on each of them; HTTP/1.1 connections that
/// ask for a blob and do not read it; uploads of one byte per second.
const HTTP2: usize = 4;
const STREAMS: u32 = 100;
const READERS: usize = 400;
const TRICKLES: usize = 200;
/// What the other client pushes and pulls.
const SIZE: u64 = 64 << 20;
const REPOSITORY: &str = "bench/unread";

pub(super) async fn run(target: &Target) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    let (slow, other) = (registry.calling_from(SLOW), registry.calling_from(OTHER));
    registry.make_project_of(REPOSITORY).await?;
    let blob = Blob::random(16 << 20);
    other.push_blob(REPOSITORY, &blob, Way::Put).await?;
    let (alone, _) = serve(&other).await?;
    let crowd = Crowd {
        registry: slow,
        ca: target.ca.clone(),
        blob: format!("/v2/{REPOSITORY}/blobs/{}", blob.digest),
        deadline: Instant::now() + SETTLING + PATIENCE,
    };
    let all = parallel(HTTP2 + READERS + TRICKLES, async |number| {
        let ended = match number {
            ..HTTP2 => crowd.closed_windows().await,
            HTTP2.. if number < HTTP2 + READERS => crowd.unread_answer().await,
            _ => crowd.trickle().await,
        };
        if let Err(error) = &ended {
            eprintln!("a slow one: {error}");
        }
        ended.is_err()
    });
    let beside = async {
        sleep(SETTLING).await;
        serve(&other).await
    };
    let (stayed, beside) = tokio::join!(all, beside);
    let (whole, first) = beside.map_err(|error| format!("the other client: {error}"))?;
    let stayed = stayed.into_iter().filter(|stayed| *stayed).count();
    Ok(figures([
        ("alone_s", alone.as_secs_f64()),
        ("beside_s", whole.as_secs_f64()),
        ("first_byte_s", first.as_secs_f64()),
        ("stayed", stayed as f64),
    ]))
}

/// How long the other client takes to push and pull, and until the first byte of the pull.
async fn serve(registry: &Registry) -> Result<(Duration, Duration), String> {
    let blob = Blob::random(SIZE);
    let began = Instant::now();
    registry.push_blob(REPOSITORY, &blob, Way::Put).await?;
    let asked = Instant::now();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
    let mut body = registry
        .open(Call::get(&path, REPOSITORY))
        .await?
        .into_body();
    let (mut came, mut first) = (0, None);
    while let Some(frame) = body.frame().await {
        let piece = frame.map_err(|error| error.to_string())?.into_data();
        first.get_or_insert_with(|| asked.elapsed());
        came += piece.map_or(0, |piece| piece.len() as u64);
    }
    match first {
        Some(first) if came == SIZE => Ok((began.elapsed(), first)),
        _ => Err(format!("{came} bytes came")),
    }
}

/// All slow ones. Their work ends without an error when the server has ended them.
struct Crowd {
    registry: Registry,
    ca: PathBuf,
    blob: String,
    deadline: Instant,
}

impl Crowd {
    /// Asks and does not read until the server must have cut the answer: what is left of it then is what the kernel
    /// had.
    async fn unread_answer(&self) -> Result<(), String> {
        let authorization = self.registry.authorization(REPOSITORY).await?;
        let line = self.registry.dial("http/1.1", UNREAD).await;
        let mut line = line.map_err(|error| error.to_string())?;
        let request = self.registry.head("GET", &self.blob, &authorization) + "\r\n";
        if line.write(request).await.is_err() {
            return Ok(());
        }
        sleep(self.left().saturating_sub(Duration::from_secs(5))).await;
        // Until the server has closed the connection.
        is_gone(line.ends_within(self.left()).await)
    }

    /// Uploads a byte per second.
    async fn trickle(&self) -> Result<(), String> {
        let at = self.registry.start_upload(REPOSITORY).await?;
        let authorization = self.registry.authorization(REPOSITORY).await?;
        let request = self
            .registry
            .client
            .patch(&at)
            .header("authorization", authorization);
        let (mut sender, request) = request.content_type("application/octet-stream").streaming();
        let send = async {
            while Instant::now() < self.deadline {
                if sender.send_data(Bytes::from_static(b"a")).await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        let left = self.left();
        let answered = async { timeout(left, request.attempt()).await };
        tokio::select! {
            biased;
            answer = answered => match answer {
                Err(_) => Err("the server took a byte per second to the end".to_owned()),
                Ok(Ok(answer)) if ![408, 503].contains(&answer.status) => Err(answer.to_string()),
                // The connection may be closed before the answer is read.
                Ok(_) => Ok(()),
            },
            () = async { send.await; sleep(left).await } => Err("the upload never ended".to_owned()),
        }
    }

    /// Asks for many blobs on one HTTP/2 connection whose windows are closed.
    async fn closed_windows(&self) -> Result<(), String> {
        let port = self.registry.client.port();
        let line = RawH2::closed(SLOW, port, &self.ca).await;
        let mut line = line.map_err(|error| error.to_string())?;
        let (authority, basic) = (format!("127.0.0.1:{port}"), self.registry.basic());
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", &*self.blob),
            (":authority", &authority),
            ("authorization", &basic),
        ];
        for number in 0..STREAMS {
            let asked = line.begin(2 * number + 1, &fields, true).await;
            asked.map_err(|error| error.to_string())?;
        }
        is_gone(line.ends_within(self.left()).await)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn is_gone(gone: bool) -> Result<(), String> {
    match gone {
        true => Ok(()),
        false => Err("the server kept the connection".to_owned()),
    }
}
