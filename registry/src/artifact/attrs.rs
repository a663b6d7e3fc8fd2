//! What is shown of configs. A push does not read them: that happens when an artifact is first looked at, and what was
//! found is kept. A config that is broken, large or cannot be read is not shown, and fails nothing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use db::artifact::Artifact;
use db::artifact::attrs::{self, Config, Shown};
use futures_util::{StreamExt as _, stream};
use model::{Digest, ManifestId, artifact};
use tracing::instrument;

use crate::{Error, Registry, Result};

/// Maximum size of a config that is read, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;
/// Configs that are read at a time for one request.
const AT_ONCE: usize = 8;
/// Configs that are read for one request; the rest is read for the next one.
const MOST: usize = 200;
/// How long a request waits for configs.
const PATIENCE: Duration = Duration::from_secs(2);

impl Registry {
    /// Fills in what is shown of the configs of artifacts that nobody has looked at yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "registry.artifact.attrs", level = "debug", skip_all)]
    pub async fn fill_attrs(&self, artifacts: &mut [Artifact]) -> Result<()> {
        let unread: HashMap<ManifestId, usize> = artifacts
            .iter()
            .enumerate()
            .filter(|(_, artifact)| artifact.is_unread)
            .map(|(at, artifact)| (artifact.id, at))
            .take(MOST)
            .collect();
        if unread.is_empty() {
            return Ok(());
        }
        let ids: Vec<ManifestId> = unread.keys().copied().collect();
        let configs = attrs::configs(&mut self.db.reader().await?, &ids).await?;
        let mut shown = Vec::with_capacity(configs.len());
        for (manifest, bytes) in self.read_configs(configs).await {
            let Some(at) = unread.get(&manifest) else {
                continue;
            };
            let artifact = &mut artifacts[*at];
            let artifact_type = artifact.artifact_type.as_deref();
            artifact.attrs = artifact::attrs(artifact_type, &artifact.config_type, &bytes);
            shown.push(Shown {
                manifest: manifest.0,
                attrs: artifact.attrs.clone(),
            });
        }
        if shown.is_empty() {
            return Ok(());
        }
        let kept = self
            .db
            .write(move |tx| Box::pin(async move { attrs::keep(tx, &shown).await }));
        if let Err(error) = kept.await {
            // What can only be read is shown all the same.
            tracing::warn!(%error, "what is shown of configs cannot be kept");
        }
        Ok(())
    }

    /// The bytes of configs, as far as they come in time. Those of a large one are none.
    async fn read_configs(&self, configs: Vec<Config>) -> Vec<(ManifestId, Bytes)> {
        let end = tokio::time::Instant::now() + PATIENCE;
        let read = stream::iter(configs).map(|config| async move {
            let bytes = if config.size > LARGEST_CONFIG {
                Bytes::new()
            } else {
                let read = self.read_whole(&config.key, config.size, &config.digest);
                tokio::time::timeout_at(end, read).await.ok()?.ok()?
            };
            Some((config.manifest, bytes))
        });
        let read = read.buffer_unordered(AT_ONCE);
        read.filter_map(std::future::ready).collect().await
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
