//! One large blob in one PATCH, continued wherever the server says that it stands whenever the connection is cut or
//! the server fails, until it is committed and pulled back whole; and small images that are pushed beside it, of which
//! what was acknowledged is pulled at the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use testkit::content::Blob;
use testkit::meter::{Counts, Figures, parallel, put};
use testkit::registry::{Call, Failed, Image, Registry, Way, location, received};
use testkit::target::Target;
use tokio::time::sleep;

const REPOSITORY: &str = "failover/large";
/// How long the server may take to come back.
const PATIENCE: Duration = Duration::from_secs(120);
/// Clients that push small images.
const BESIDE: usize = 2;

/// How far an upload is, for those who watch it.
#[derive(Default)]
pub(super) struct Progress {
    /// Whether its connection is open, the only one until a quarter is on its way.
    pub(super) begun: AtomicU64,
    pub(super) sent: Arc<AtomicU64>,
}

impl Progress {
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Uploads so many bytes, no more than `pace` of them in a second; what was seen.
pub(super) async fn run(
    target: &Target,
    size: u64,
    pace: f64,
    progress: &Progress,
) -> Result<Figures, String> {
    let registry = Registry::new(target)?;
    let blob = Blob::random(size);
    let upload = Upload {
        blob: &blob,
        registry: &registry,
        pace,
        progress,
        seen: Counts::default(),
    };
    let beside = Beside::default();
    let ended = Mutex::new(false);
    let is_over = || *ended.lock().unwrap_or_else(PoisonError::into_inner);
    let small = parallel(BESIDE, async |first| {
        while progress.sent() < size / 4 && !is_over() {
            sleep(Duration::from_millis(5)).await;
        }
        let mut number = first;
        while !is_over() {
            sleep(Duration::from_millis(50)).await;
            // Connections of its own per image: each goes to the next replica.
            beside.push(&registry.clone(), number).await?;
            number += 1;
        }
        Ok::<(), Failed>(())
    });
    let large = async {
        let done = upload.run().await;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        done
    };
    let (large, small) = tokio::join!(large, small);
    let mut figures = large?;
    let small: Result<(), Failed> = small.into_iter().collect();
    small.map_err(|error| format!("beside the upload: {error}"))?;
    upload.seen.report("", &mut figures);
    beside.seen.report("beside_", &mut figures);
    beside.pull_all(&registry, &mut figures).await?;
    Ok(figures)
}

/// Counts an error and tells whether it is one that a client has to expect while something is down: a cut connection,
/// or a status of the server's with an error in the registry's form.
fn is_forgivable(seen: &Counts, error: &Failed) -> bool {
    match error {
        Failed::Cut(_) => {
            seen.count("cuts");
            true
        }
        Failed::Status { code, .. } => {
            seen.count(&format!("answers_{code}"));
            *code >= 500 && error.is_clean()
        }
        Failed::Digest { .. } | Failed::Wrong(_) => false,
    }
}

struct Upload<'a> {
    registry: &'a Registry,
    blob: &'a Blob,
    pace: f64,
    progress: &'a Progress,
    seen: Counts,
}

impl Upload<'_> {
    async fn run(&self) -> Result<Figures, Failed> {
        let at = self.registry.start_upload(REPOSITORY).await?;
        let began = Instant::now();
        self.progress.begun.store(1, Ordering::Relaxed);
        let mut figures = Figures::new();
        let at = self.send(at, &mut figures).await?;
        self.commit(&at).await?;
        put(&mut figures, "seconds", began.elapsed().as_secs_f64());
        put(&mut figures, "bytes", self.blob.size as f64);
        let digest = &self.blob.digest;
        self.insist(async || self.registry.pull_blob(REPOSITORY, digest).await)
            .await?;
        Ok(figures)
    }

    /// Sends the content in one PATCH, and after each failure what the server has not got yet; where it goes on.
    async fn send(&self, mut at: String, figures: &mut Figures) -> Result<String, Failed> {
        let mut sent = self.patch(&mut at, None).await;
        while let Err(error) = sent {
            let cut = Instant::now();
            if !is_forgivable(&self.seen, &error) && error.status() != 416 {
                return Err(error);
            }
            let standing = self.insist(async || {
                let answer = self
                    .registry
                    .send(Call::get(&at, REPOSITORY), &[204])
                    .await?;
                received(&answer)
            });
            let offset = standing.await?;
            let reached = self.progress.sent();
            if offset > reached {
                let wrong = format!("the server says that it has {offset} bytes of {reached} sent");
                return Err(wrong.into());
            }
            put(figures, "cut_at", reached as f64);
            put(figures, "resumed_at", offset as f64);
            put(figures, "resumed_after_s", cut.elapsed().as_secs_f64());
            self.seen.count("resumed");
            if offset == self.blob.size {
                break;
            }
            sent = self.patch(&mut at, Some(offset)).await;
        }
        Ok(at)
    }

    async fn patch(&self, at: &mut String, from: Option<u64>) -> Result<(), Failed> {
        let (size, offset) = (self.blob.size, from.unwrap_or(0));
        let stream = self
            .blob
            .made()
            .stream(offset)
            .paced(self.pace)
            .telling(&self.progress.sent);
        let call = Call::new(Method::PATCH, at, REPOSITORY);
        let mut call = call.body(stream.body(), size - offset);
        if from.is_some() {
            call = call.range(offset, size);
        }
        let answer = self.registry.send(call, &[202]).await?;
        let has = received(&answer)?;
        if has != size {
            return Err(format!("a PATCH was answered with {has} bytes of {size}").into());
        }
        *at = location(&answer)?;
        Ok(())
    }

    /// Names the digest. Where the answer is lost the blob may be there nevertheless.
    async fn commit(&self, at: &str) -> Result<(), Failed> {
        let digest = &self.blob.digest;
        self.insist(async || {
            let done = self.registry.finish_upload(REPOSITORY, at, digest).await;
            let there = match &done {
                Ok(()) => return done,
                Err(_) => self.registry.has_blob(REPOSITORY, digest).await,
            };
            if there.is_ok_and(|there| there) {
                self.seen.count("commits_unheard");
                return Ok(());
            }
            done
        })
        .await
    }

    /// Repeats what fails forgivably.
    async fn insist<T>(&self, what: impl AsyncFn() -> Result<T, Failed>) -> Result<T, Failed> {
        let end = Instant::now() + PATIENCE;
        loop {
            match what().await {
                Err(error) if is_forgivable(&self.seen, &error) && Instant::now() < end => {
                    sleep(Duration::from_millis(200)).await;
                }
                done => return done,
            }
        }
    }
}

/// What the server acknowledged to the clients beside it.
#[derive(Default)]
struct Beside {
    seen: Counts,
    blobs: Mutex<Vec<String>>,
    manifests: Mutex<Vec<String>>,
}

impl Beside {
    async fn push(&self, client: &Registry, number: usize) -> Result<(), Failed> {
        // Now and then more than one part.
        let size = if number.is_multiple_of(8) {
            9 << 20
        } else {
            200_000
        };
        let image = Image::small(400, size);
        let way = [Way::Put, Way::Patch, Way::Post][number % 3];
        let pushed = async {
            for blob in &image.blobs {
                client.push_blob(REPOSITORY, blob, way).await?;
                acknowledged(&self.blobs, &blob.digest);
            }
            let manifest = &image.manifest;
            client
                .push_manifest(REPOSITORY, &manifest.digest, manifest)
                .await?;
            acknowledged(&self.manifests, &manifest.digest);
            Ok(())
        };
        match pushed.await {
            Err(error) if !is_forgivable(&self.seen, &error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Pulls all that was acknowledged; by now nothing is down any more.
    async fn pull_all(&self, registry: &Registry, figures: &mut Figures) -> Result<(), String> {
        let list =
            |list: &Mutex<Vec<String>>| list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (blobs, manifests) = (list(&self.blobs), list(&self.manifests));
        for digest in &blobs {
            let pulled = registry.pull_blob(REPOSITORY, digest).await;
            pulled.map_err(|error| format!("an acknowledged blob: {error}"))?;
        }
        for digest in &manifests {
            let pulled = registry.pull_manifest(REPOSITORY, digest).await;
            let pulled = pulled.map_err(|error| format!("an acknowledged manifest: {error}"))?;
            if pulled.digest != *digest {
                return Err(format!("{digest} is {}", pulled.digest));
            }
        }
        put(figures, "beside_blobs_pulled", blobs.len() as f64);
        put(figures, "beside_manifests_pulled", manifests.len() as f64);
        Ok(())
    }
}

fn acknowledged(list: &Mutex<Vec<String>>, digest: &str) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    list.push(digest.to_owned());
}
