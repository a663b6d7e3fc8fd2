//! SIGTERM under load. Whatever the server had begun to read must be answered whole; what comes later is refused.

use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, join_all};
use http_body_util::BodyExt;
use testkit::content::{Blob, Digester};
use testkit::daemon::Daemon;
use testkit::harness::client::SECOND;
use testkit::harness::raw::{Broken, Raw};
use testkit::meter::{Counts, Figures, put};
use testkit::registry::{Call, Image, Registry, Way, with_digest};
use testkit::target::Target;
use tokio::time::{sleep, sleep_until, timeout};

/// How long before the signal a request may have been sent and still lie unread: both sides share a machine that is
/// fully loaded. What was certainly read is the affair of the half requests.
const MARGIN: Duration = Duration::from_millis(250);
const REPOSITORY: &str = "bench/drain";
const RECEIVE: u32 = 128 << 10;

/// Connections under continuous load, with half a request sent when the signal comes, with slow transfers each way,
/// and idle ones; of HTTP/2 under load, and with slow downloads.
const BUSY: usize = 50;
const HALVES: usize = 20;
const SLOW: usize = 4;
const IDLE: usize = 2;
const HTTP2: usize = 8;
const SLOW_HTTP2: usize = 2;

/// Sends the server SIGTERM in the middle of it all; a slow transfer takes so long after that.
pub(super) async fn run(
    target: &Target,
    server: &Daemon,
    length: Duration,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    registry.make_project_of(REPOSITORY).await?;
    let image = Image::new(Blob::config(1024), &[Blob::random(64 << 20)]);
    registry
        .push_image(REPOSITORY, "drain", &image, Way::Put)
        .await?;
    let authorization = registry.authorization(REPOSITORY).await?;
    let layer = image.blobs[1].clone();
    let head = |path: &str| registry.head("GET", path, &authorization) + "\r\n";
    let drain = Drain {
        manifest: head(&format!("/v2/{REPOSITORY}/manifests/drain")),
        download: head(&format!("/v2/{REPOSITORY}/blobs/{}", layer.digest)),
        layer,
        length: length + Duration::from_secs(2),
        authorization,
        registry: registry.clone(),
        signalled: Mutex::default(),
        counts: Counts::default(),
        failures: Mutex::default(),
    };
    let parts = [
        (BUSY, Drain::busy as Part),
        (HALVES, Drain::half),
        (SLOW, Drain::slow_download),
        (SLOW, Drain::slow_upload),
        (IDLE, Drain::idle),
        (HTTP2, Drain::busy_http2),
        (SLOW_HTTP2, Drain::slow_http2),
    ];
    let all = parts
        .into_iter()
        .flat_map(|(count, part)| std::iter::repeat_n(part, count));
    let clients = join_all(all.map(|part| part(&drain)));
    let signal = async {
        sleep(Duration::from_secs(2)).await;
        *drain
            .signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        server.signal("TERM");
        drain.watch_refusal().await
    };
    let ended = async {
        clients.await;
        drain.since()
    };
    let (refuses, busy) = tokio::join!(signal, ended);
    while is_running(server.pid()) && drain.since() < busy + Duration::from_secs(320) {
        sleep(Duration::from_millis(5)).await;
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let mut figures = Figures::new();
    put(&mut figures, "transfers_ended_after_ms", ms(busy));
    put(
        &mut figures,
        "exit_after_last_request_ms",
        ms(drain.since() - busy),
    );
    put(&mut figures, "refuses_after_ms", ms(refuses));
    drain.counts.report("", &mut figures);
    let failures = drain
        .failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match failures.len() {
        0 => Ok(figures),
        count => Err(format!(
            "{count} requests were not answered whole: {figures:?}\n  failed: {}",
            failures.join("\n  failed: ")
        )),
    }
}

type Part = for<'a> fn(&'a Drain) -> LocalBoxFuture<'a, ()>;

/// What all parts share.
struct Drain {
    registry: Registry,
    authorization: String,
    manifest: String,
    download: String,
    layer: Blob,
    /// How long a slow transfer takes.
    length: Duration,
    signalled: Mutex<Option<Instant>>,
    counts: Counts,
    failures: Mutex<Vec<String>>,
}

impl Drain {
    fn signalled(&self) -> Option<Instant> {
        *self
            .signalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the signal was; zero before it.
    fn since(&self) -> Duration {
        self.signalled().map_or(Duration::ZERO, |at| at.elapsed())
    }

    fn fail(&self, failure: impl Into<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(failure.into());
    }

    /// Does a part of it, whose failure counts.
    fn part<'s>(
        &'s self,
        what: &'static str,
        work: impl Future<Output = Result<(), String>> + 's,
    ) -> LocalBoxFuture<'s, ()> {
        Box::pin(async move {
            if let Err(error) = work.await {
                self.fail(format!(
                    "{what}, {:?} after the signal: {error}",
                    self.since()
                ));
            }
        })
    }

    async fn dial(&self) -> Result<Raw, String> {
        let line = self.registry.dial("http/1.1", RECEIVE).await;
        line.map_err(|error| format!("connect before the signal: {error}"))
    }

    /// A connection on which a request was answered already.
    async fn used(&self) -> Result<Raw, String> {
        let mut line = self.dial().await?;
        let first = line.exchange(self.manifest.as_bytes()).await;
        first.map_err(|error| format!("first request: {error}"))?;
        Ok(line)
    }

    /// Asks without pause until the server goes. A connection that ends without an answer is fine only where the
    /// request was sent once the signal was out, or so shortly before that nothing was read of it.
    fn busy(&self) -> LocalBoxFuture<'_, ()> {
        self.part("load", async {
            let mut line = self.dial().await?;
            loop {
                let began = Instant::now();
                let answer = line.exchange(self.manifest.as_bytes()).await;
                match (answer, self.signalled()) {
                    (Ok(answer), _) if answer.status != 200 => {
                        return Err(format!("status {}", answer.status));
                    }
                    (Ok(answer), Some(_)) => {
                        self.counts.count("answered_after");
                        if answer.closes {
                            return Ok(());
                        }
                    }
                    (Ok(answer), None) => {
                        self.counts.count("answered_before");
                        if answer.closes {
                            return Err("Connection: close before the signal".to_owned());
                        }
                    }
                    (Err(Broken::Unanswered), Some(at)) if began + MARGIN > at => {
                        self.counts.count("closed_unread_after");
                        return Ok(());
                    }
                    (Err(error), _) => {
                        return Err(format!("{error}, sent {:?} ago", began.elapsed()));
                    }
                }
            }
        })
    }

    /// Asks without pause on one HTTP/2 connection, until the server says that it goes. A request that the server did
    /// not begin is one it told us of; any other end is a failure.
    fn busy_http2(&self) -> LocalBoxFuture<'_, ()> {
        self.part("HTTP/2", async {
            let client = self.registry.http2();
            let path = format!("/v2/{REPOSITORY}/manifests/drain");
            loop {
                let request = client
                    .client
                    .get(&path)
                    .header("authorization", &self.authorization);
                let answer = timeout(Duration::from_secs(60), request.attempt()).await;
                let late = self.signalled().is_some();
                match answer.map_err(|_| "no answer within a minute")? {
                    Ok(answer) if answer.status != 200 => return Err(answer.to_string()),
                    Ok(_) if late => self.counts.count("h2_answered_after"),
                    Ok(_) => self.counts.count("h2_answered_before"),
                    Err(error) if late && was_told_to_go(&*error) => {
                        self.counts.count("h2_told_to_go");
                        return Ok(());
                    }
                    Err(error) => return Err(format!("{error:?}")),
                }
            }
        })
    }

    fn slow_http2(&self) -> LocalBoxFuture<'_, ()> {
        self.part("slow download over HTTP/2", async {
            let client = self.registry.http2();
            let path = format!("/v2/{REPOSITORY}/blobs/{}", self.layer.digest);
            let mut body = client.open(Call::get(&path, REPOSITORY)).await?.into_body();
            let (mut sum, pace) = (Digester::default(), self.pace());
            while let Some(frame) = body.frame().await {
                let piece = frame.map_err(|error| error.to_string())?.into_data();
                sum.update(&piece.unwrap_or_default());
                pace.wait(sum.1).await;
            }
            self.compare(sum, "h2_downloads_whole")
        })
    }

    /// Has the server read the beginning of a request before the signal and sends the rest after it.
    fn half(&self) -> LocalBoxFuture<'_, ()> {
        self.part("half a request", async {
            let mut line = self.used().await?;
            let (first, rest) = self.manifest.as_bytes().split_at(self.manifest.len() / 2);
            line.write(first).await.map_err(|error| error.to_string())?;
            while self.signalled().is_none() {
                sleep(Duration::from_millis(5)).await;
            }
            sleep(Duration::from_millis(500)).await;
            match line.exchange(rest).await {
                Ok(answer) if answer.status == 200 => self.counts.count("halves_answered"),
                other => return Err(format!("{other:?}")),
            }
            Ok(())
        })
    }

    /// Holds a kept-alive connection without a request: the server has to close it, not wait for it.
    fn idle(&self) -> LocalBoxFuture<'_, ()> {
        self.part("idle", async {
            let mut line = self.used().await?;
            if !line.ends_within(Duration::from_secs(30)).await {
                return Err("the connection is still open".to_owned());
            }
            if self.signalled().is_none() {
                return Err("closed before the signal".to_owned());
            }
            self.counts.count("idle_closed");
            Ok(())
        })
    }

    fn slow_download(&self) -> LocalBoxFuture<'_, ()> {
        self.part("slow download", async {
            let mut line = self.dial().await?;
            let asked = line.write(&self.download).await;
            asked.map_err(|error| error.to_string())?;
            let (mut sum, pace) = (Digester::default(), self.pace());
            let answer = line.whole_answer(async |piece: &[u8]| {
                sum.update(piece);
                pace.wait(sum.1).await;
            });
            answer.await.map_err(|error| error.to_string())?;
            self.compare(sum, "downloads_whole")
        })
    }

    /// A monolithic PUT whose body drips in until well after the signal.
    fn slow_upload(&self) -> LocalBoxFuture<'_, ()> {
        self.part("slow upload", async {
            let blob = Blob::random(16 << 20);
            let at = self.registry.start_upload(REPOSITORY).await?;
            let path = with_digest(&at, &blob.digest);
            let mut line = self.dial().await?;
            let head = self.registry.head("PUT", &path, &self.authorization);
            let kind = "Content-Type: application/octet-stream";
            let head = format!("{head}Content-Length: {}\r\n{kind}\r\n\r\n", blob.size);
            line.write(head).await.map_err(|error| error.to_string())?;
            let (mut sent, pace) = (0, self.pace_of(blob.size));
            for piece in blob.pieces() {
                sent += piece.len() as u64;
                pace.wait(sent).await;
                line.write(piece).await.map_err(|error| error.to_string())?;
            }
            match line.whole_answer(async |_: &[u8]| {}).await {
                Ok(answer) if answer.status == 201 => self.counts.count("uploads_whole"),
                other => return Err(format!("{other:?}")),
            }
            Ok(())
        })
    }

    fn compare(&self, sum: Digester, counted: &str) -> Result<(), String> {
        match sum.finish() {
            got if got == self.layer.digest => self.counts.count(counted),
            got => return Err(format!("got {got}")),
        }
        Ok(())
    }

    fn pace(&self) -> Pace {
        self.pace_of(self.layer.size)
    }

    fn pace_of(&self, size: u64) -> Pace {
        Pace {
            began: tokio::time::Instant::now(),
            rate: size as f64 / self.length.as_secs_f64(),
        }
    }

    /// Connects until the server no longer accepts, and on for a while; when it began to refuse.
    async fn watch_refusal(&self) -> Duration {
        let (mut first, mut accepted) = (Duration::ZERO, 0);
        let address = format!("127.0.0.1:{}", self.registry.client.port());
        while self.since() < Duration::from_secs(3) {
            if TcpStream::connect(&address).is_ok() {
                accepted += u32::from(!first.is_zero());
            } else {
                self.counts.count("refused_after");
                if first.is_zero() {
                    first = self.since();
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
        if first.is_zero() {
            self.fail("new connections were still accepted 3 s after the signal");
        }
        if accepted > 0 {
            self.fail(format!(
                "{accepted} new connections were accepted after one had been refused"
            ));
        }
        first
    }
}

/// So many bytes a second.
struct Pace {
    began: tokio::time::Instant,
    rate: f64,
}

impl Pace {
    async fn wait(&self, bytes: u64) {
        sleep_until(self.began + Duration::from_secs_f64(bytes as f64 / self.rate)).await;
    }
}

/// Whether the server said that it did not begin this request, or that it takes no more on this connection.
fn was_told_to_go(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    if error.to_string() == SECOND {
        return true;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        let reset = error.downcast_ref::<h2::Error>();
        if reset
            .is_some_and(|it| it.is_go_away() || it.reason() == Some(h2::Reason::REFUSED_STREAM))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_running(pid: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = text.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|rest| !rest.starts_with('Z'))
}
