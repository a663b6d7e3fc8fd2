//! Many large blobs at once, as benchmarks and soak tests push and pull them.

use std::time::Instant;

use crate::content::Blob;
use crate::meter::{Figures, Meter, each, parallel};
use crate::process::Processes;
use crate::registry::{Registry, Way};
use crate::target::Target;

const REPOSITORY: &str = "bench/push";

/// Pushes blobs in streams at once; the figures, and the digests.
pub async fn push(
    target: &Target,
    server: &Processes,
    streams: usize,
    count: usize,
    size: u64,
) -> Result<(Figures, Vec<String>), String> {
    let registry = Registry::new(target)?;
    registry.make_project_of(REPOSITORY).await?;
    let blobs = Blob::many(count, size);
    registry.warm(REPOSITORY).await?;
    let meter = Meter::start(server);
    each(streams, count, async |number| {
        let began = Instant::now();
        let pushed = registry
            .push_blob(REPOSITORY, &blobs[number], Way::Put)
            .await;
        meter.note(began, size, pushed);
        Ok::<_, String>(())
    })
    .await?;
    let digests = blobs.into_iter().map(|blob| blob.digest).collect();
    Ok((meter.report()?, digests))
}

/// As many pushes as pulls, all at once, each of one blob.
pub struct Mixed {
    registry: Registry,
    blobs: Vec<Blob>,
    digests: Vec<String>,
}

impl Mixed {
    /// Makes what will be pushed; what is pulled is there.
    pub async fn prepare(
        target: &Target,
        streams: usize,
        size: u64,
        digests: Vec<String>,
    ) -> Result<Self, String> {
        let registry = Registry::new(target)?;
        registry.warm(REPOSITORY).await?;
        Ok(Self {
            registry,
            blobs: Blob::many(streams, size),
            digests,
        })
    }

    pub async fn run(self, server: Processes) -> Result<Figures, String> {
        let Self {
            registry,
            blobs,
            digests,
        } = &self;
        let meter = Meter::start(&server);
        parallel(blobs.len() * 2, async |number| {
            let began = Instant::now();
            let done = match blobs.get(number) {
                Some(blob) => {
                    let way = [Way::Put, Way::Patch][number % 2];
                    registry.push_blob(REPOSITORY, blob, way).await
                }
                None => {
                    let digest = &digests[number % digests.len()];
                    registry.pull_blob(REPOSITORY, digest).await.map(drop)
                }
            };
            meter.note(began, blobs[0].size, done);
        })
        .await;
        meter.report()
    }
}
