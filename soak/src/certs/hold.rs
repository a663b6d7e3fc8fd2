//! Connections that are kept busy, of which every failure counts, while something happens in the middle of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use testkit::harness::raw::Raw;
use testkit::meter::{Counts, Figures, Meter, parallel, put};
use testkit::process::Processes;
use testkit::registry::{Call, Image, Registry, Way};
use testkit::target::Target;
use tokio::time::sleep;

/// Connections that stay open, clients that open a new one for every request, and connections of HTTP/2.
const KEPT: usize = 50;
const FRESH: usize = 4;
const HTTP2: usize = 8;
const REPOSITORY: &str = "bench/hold";
/// What the kernel keeps of what comes.
const RECEIVE: u32 = 256 << 10;

/// Asks for a manifest and a layer for so long; `happens` is called after a while, and what it takes is watched.
pub(super) async fn hold(
    target: &Target,
    server: &Processes,
    length: Duration,
    happens: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    registry.make_project_of(REPOSITORY).await?;
    let image = Image::small(1024, 256 << 10);
    registry
        .push_image(REPOSITORY, "hold", &image, Way::Put)
        .await?;
    let authorization = registry.authorization(REPOSITORY).await?;
    let paths = [
        format!("/v2/{REPOSITORY}/manifests/hold"),
        format!("/v2/{REPOSITORY}/blobs/{}", image.blobs[1].digest),
    ];
    let request = |path: &String| registry.head("GET", path, &authorization) + "\r\n";
    let hold = Hold {
        requests: paths.each_ref().map(request),
        paths,
        registry: &registry,
        meter: Meter::start(server),
        end: Instant::now() + length,
        counts: Counts::default(),
        watch: Mutex::default(),
    };
    let clients = parallel(KEPT + FRESH + HTTP2, async |number| match number {
        ..KEPT => hold.busy(number, false).await,
        KEPT.. if number < KEPT + FRESH => hold.busy(number, true).await,
        _ => hold.http2(number).await,
    });
    let event = async {
        sleep(Duration::from_millis(1500)).await;
        hold.watch().began = Some(Instant::now());
        let happened = tokio::task::spawn_blocking(happens).await;
        hold.watch().ended = Some(Instant::now());
        happened.map_err(|error| error.to_string())?
    };
    let (_, happened, ()) = tokio::join!(clients, event, hold.look());
    happened?;
    let mut figures = hold.meter.report()?;
    hold.counts.report("", &mut figures);
    hold.watch().report(&mut figures);
    Ok(figures)
}

struct Hold<'a> {
    registry: &'a Registry,
    requests: [String; 2],
    paths: [String; 2],
    meter: Meter,
    end: Instant,
    counts: Counts,
    watch: Mutex<Watch>,
}

impl Hold<'_> {
    fn watch(&self) -> std::sync::MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes handshakes and looks at the certificates.
    async fn look(&self) {
        while Instant::now() < self.end {
            match self.registry.dial("http/1.1", RECEIVE).await {
                Ok(line) => self.watch().see(line.certificate()),
                Err(error) => self.meter.fail(format!("handshake: {error}")),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn http2(&self, number: usize) {
        let client = self.registry.http2();
        while Instant::now() < self.end {
            let began = Instant::now();
            let call = Call::get(&self.paths[number % 2], REPOSITORY).manifest();
            match client.send(call, &[200]).await {
                Ok(answer) if answer.version == hyper::Version::HTTP_2 => {
                    self.meter.done(began, answer.body.len() as u64);
                }
                other => {
                    self.meter
                        .fail(format!("HTTP/2: {:?}", other.map(|it| it.version)));
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn busy(&self, number: usize, fresh: bool) {
        let (mut line, mut uses) = (None::<Raw>, 0);
        while Instant::now() < self.end {
            let mut open = match line.take() {
                Some(open) => open,
                None => match self.registry.dial("http/1.1", RECEIVE).await {
                    Ok(open) => open,
                    Err(error) => {
                        self.meter.fail(format!("connect: {error}"));
                        sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let began = Instant::now();
            match open.exchange(self.requests[number % 2].as_bytes()).await {
                Ok(answer) if answer.status == 200 => {
                    self.meter.done(began, answer.bytes);
                    (line, uses) = (Some(open), uses + 1);
                    if answer.closes {
                        self.counts.count("reopened");
                    }
                    if answer.closes || fresh {
                        (line, uses) = (None, 0);
                    }
                }
                other => self
                    .meter
                    .fail(format!("request {uses} of its connection: {other:?}")),
            }
        }
    }
}

/// When handshakes begin to show another certificate.
#[derive(Default)]
struct Watch {
    first: Option<Vec<u8>>,
    began: Option<Instant>,
    ended: Option<Instant>,
    changed: Option<Instant>,
    old: u32,
    new: u32,
    old_after_new: u32,
}

impl Watch {
    fn see(&mut self, certificate: Vec<u8>) {
        if *self.first.get_or_insert_with(|| certificate.clone()) != certificate {
            self.new += 1;
            self.changed.get_or_insert_with(Instant::now);
            return;
        }
        self.old += 1;
        self.old_after_new += u32::from(self.changed.is_some());
    }

    fn report(&self, figures: &mut Figures) {
        put(figures, "handshakes_old", self.old.into());
        put(figures, "handshakes_new", self.new.into());
        put(
            figures,
            "handshakes_old_after_new",
            self.old_after_new.into(),
        );
        if let (Some(changed), Some(began), Some(ended)) = (self.changed, self.began, self.ended) {
            // Negative where the server was quicker than the command took to end.
            let after_start = (changed - began).as_secs_f64() * 1000.0;
            let took = (ended - began).as_secs_f64() * 1000.0;
            put(figures, "new_after_start_ms", after_start);
            put(figures, "new_after_end_ms", after_start - took);
        }
    }
}
