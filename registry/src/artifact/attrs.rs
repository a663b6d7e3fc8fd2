//! The parts of configs that are shown. A push does not read configs: they are read when an artifact is first shown,
//! and the result is stored. A config that is broken, too large or unreadable is not shown, and causes no error.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use db::artifact::Artifact;
use db::artifact::attrs::{self, Config, Shown};
use db::list::longest_text;
use futures_util::{StreamExt as _, stream};
use model::{Digest, ManifestId, artifact};
use moka::sync::Cache;
use storage::budget::Holder;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::instrument;

use crate::{Error, Registry, Result};

/// Maximum size of a config that is read, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;
/// Configs to read at a time.
const AT_ONCE: usize = 4;
/// Configs to read for one request; the rest is read for the next one.
const MOST: usize = 200;
/// How long a request waits for configs, including its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many unreadable configs are remembered, and for how long.
const UNREADABLE: (u64, Duration) = (10_000, Duration::from_secs(60));

/// Reads configs, for one request at a time in this process.
pub(crate) struct Configs {
    turn: Semaphore,
    /// Configs that could not be read lately, and are not retried yet.
    unreadable: Cache<Digest, ()>,
}

impl Default for Configs {
    fn default() -> Self {
        let (most, time) = UNREADABLE;
        Self {
            turn: Semaphore::new(1),
            unreadable: Cache::builder()
                .max_capacity(most)
                .time_to_live(time)
                .build(),
        }
    }
}

impl Registry {
    /// Fills in the shown parts of configs for artifacts that were never shown before, as far as time and memory allow.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "registry.artifact.attrs", level = "debug", skip_all)]
    pub async fn fill_attrs(&self, artifacts: &mut [Artifact]) -> Result<()> {
        let mut unread: HashMap<ManifestId, usize> = artifacts
            .iter()
            .enumerate()
            .filter(|(_, artifact)| artifact.is_unread)
            .map(|(at, artifact)| (artifact.id, at))
            .take(MOST)
            .collect();
        if unread.is_empty() {
            return Ok(());
        }
        let end = Instant::now() + PATIENCE;
        let turn = tokio::time::timeout_at(end, self.configs.turn.acquire()).await;
        let memory = self.memory.bulk();
        let place = memory.try_take(Holder::default(), AT_ONCE * LARGEST_CONFIG as usize);
        let (Ok(Ok(_turn)), Some(place)) = (turn, place) else {
            return Ok(());
        };
        let longest = longest_text(artifacts.len() as i64);
        let mut ids: Vec<ManifestId> = unread.keys().copied().collect();
        let mut reader = self.db.reader().await?;
        // The previous request may have read them.
        for kept in attrs::kept(&mut reader, &ids, longest).await? {
            if let Some(at) = unread.remove(&ManifestId(kept.manifest)) {
                artifacts[at].attrs = kept.attrs;
            }
        }
        ids.retain(|id| unread.contains_key(id));
        let mut configs = attrs::configs(&mut reader, &ids).await?;
        drop(reader);
        configs.retain(|config| !self.configs.unreadable.contains_key(&config.digest));
        let shown = self.read_configs(configs, end, (artifacts, &unread)).await;
        drop(place);
        if shown.is_empty() {
            return Ok(());
        }
        let kept = self
            .db
            .write(move |tx| Box::pin(async move { attrs::keep(tx, &shown).await }));
        if let Err(error) = kept.await {
            // If it cannot be stored, it is shown all the same.
            tracing::warn!(%error, "what is shown of configs cannot be kept");
        }
        Ok(())
    }

    /// Reads configs and fills in their shown parts: each as it arrives, so that few are in memory at a time.
    async fn read_configs(
        &self,
        configs: Vec<Config>,
        end: Instant,
        (artifacts, at): (&mut [Artifact], &HashMap<ManifestId, usize>),
    ) -> Vec<Shown> {
        let longest = longest_text(artifacts.len() as i64);
        let mut shown = Vec::with_capacity(configs.len());
        let read = stream::iter(configs).map(|config| self.read_config(config, end));
        let mut read = std::pin::pin!(read.buffer_unordered(AT_ONCE));
        while let Some(read) = read.next().await {
            let Some((manifest, bytes)) = read else {
                continue;
            };
            let Some(at) = at.get(&manifest) else {
                continue;
            };
            let artifact = &mut artifacts[*at];
            let (artifact_type, config_type) =
                (artifact.artifact_type.clone(), artifact.config_type.clone());
            let parsed = tokio::task::spawn_blocking(move || {
                artifact::attrs(artifact_type.as_deref(), &config_type, &bytes)
            });
            let Ok(attrs) = parsed.await else {
                continue;
            };
            artifact.attrs = attrs.clone().filter(|text| text.len() <= longest);
            shown.push(Shown {
                manifest: manifest.0,
                attrs,
            });
        }
        shown
    }

    /// The bytes of a config, if they arrive in time; none for a config that is too large.
    async fn read_config(&self, config: Config, end: Instant) -> Option<(ManifestId, Bytes)> {
        if config.size > LARGEST_CONFIG {
            return Some((config.manifest, Bytes::new()));
        }
        let read = self.read_whole(&config.key, config.size, &config.digest);
        match tokio::time::timeout_at(end, read).await.ok()? {
            Ok(bytes) => Some((config.manifest, bytes)),
            Err(_) => {
                self.configs.unreadable.insert(config.digest, ());
                None
            }
        }
    }

    /// All bytes of an object, if they have a digest.
    pub(super) async fn read_whole(&self, key: &str, size: u64, digest: &Digest) -> Result<Bytes> {
        let mut chunks = self.store.read(key, 0..size).await?;
        let mut bytes = Vec::with_capacity(size as usize);
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(Error::BlobDamaged(*digest));
        }
        Ok(bytes.into())
    }
}
