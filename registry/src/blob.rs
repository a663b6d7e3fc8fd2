//! Blobs that are there: looking, pulling, mounting, deleting.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use db::blob::StoredBlob;
use db::{audit, blob, repository};
use futures_util::{Stream, TryStreamExt as _};
use model::{Digest, RepositoryName};
use policy::{DeletePermit, PullPermit, PushPermit};
use storage::Chunks;
use tokio::sync::OwnedSemaphorePermit;
use tracing::instrument;

use crate::{Error, Registry, Result};

/// Blobs up to this size are kept in memory once they were pulled.
const SMALL: u64 = 32 << 10;

/// Bytes of a blob.
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// From the store.
    Stream(Download),
}

/// A stream from the store, with its place in the memory for bodies.
pub struct Download {
    chunks: Chunks,
    _memory: OwnedSemaphorePermit,
}

impl Stream for Download {
    type Item = storage::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(cx)
    }
}

impl Registry {
    /// The blob that a repository links under a digest.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where it links none.
    pub async fn stat_blob(&self, permit: &PullPermit, digest: &Digest) -> Result<Arc<StoredBlob>> {
        let found = blob::linked(&self.db, permit.repository(), digest).await?;
        found.ok_or(Error::BlobUnknown(*digest))
    }

    /// The bytes of a blob within a range, which must lie within its size.
    ///
    /// # Errors
    /// When the store cannot read them; a stream may also fail later.
    pub async fn read_blob(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        range: Range<u64>,
    ) -> Result<Content> {
        self.record_blob_pull(permit).await?;
        if blob.size <= SMALL {
            let bytes = self.small_blob(blob).await?;
            return Ok(Content::Bytes(
                bytes.slice(range.start as usize..range.end as usize),
            ));
        }
        let memory = self.download_memory()?;
        let chunks = self.store.read(&blob.key, range).await?;
        Ok(Content::Stream(Download {
            chunks,
            _memory: memory,
        }))
    }

    /// A small blob, whole. What an id names never changes, so that it is kept without limit of time.
    async fn small_blob(&self, blob: &StoredBlob) -> Result<Bytes> {
        if let Some(bytes) = self.small_blobs.get(&blob.id) {
            return Ok(bytes);
        }
        let chunks = self.store.read(&blob.key, 0..blob.size).await?;
        let chunks: Vec<Bytes> = chunks.try_collect().await?;
        let bytes = Bytes::from(chunks.concat());
        self.small_blobs.insert(blob.id, bytes.clone());
        Ok(bytes)
    }

    /// Links a blob of a repository that the caller may pull from. Whether there was such a blob.
    ///
    /// # Errors
    /// When the database cannot be written.
    #[instrument(name = "registry.blob.mount", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn mount_blob(
        &self,
        permit: &PushPermit,
        source: &PullPermit,
        digest: &Digest,
    ) -> Result<bool> {
        let Some(found) = blob::linked(&self.db, source.repository(), digest).await? else {
            return Ok(false);
        };
        let (project, name) = (permit.project(), permit.repository().clone());
        let (now, digest) = (self.clock.now(), *digest);
        let lease = now.plus(self.limits.grace);
        let linked = self.db.write(move |tx| {
            Box::pin(async move {
                // Looked at again: it may be gone since.
                let live = blob::live(tx, &digest).await?;
                let Some(live) = live.filter(|live| live.id == found.id) else {
                    return Ok(false);
                };
                let id = repository::ensure(tx, project, &name, now).await?;
                blob::link(tx, (id, &name), &live, lease).await?;
                Ok::<_, Error>(true)
            })
        });
        linked.await
    }

    /// Repositories that link a blob: where a mount without a source may find one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn repositories_with(&self, digest: &Digest) -> Result<Vec<RepositoryName>> {
        let mut tx = self.db.reader().await?;
        Ok(blob::linking(&mut tx, digest, 32).await?)
    }

    /// Takes a blob out of a repository.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where the repository has none, [`Error::BlobInUse`] where a manifest of
    /// it names the blob.
    #[instrument(name = "registry.blob.delete", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn delete_blob(&self, permit: &DeletePermit, digest: &Digest) -> Result<()> {
        let (name, digest) = (permit.repository().clone(), *digest);
        let entry = self.audit_entry(
            permit.caller(),
            permit.project(),
            ("delete", "blob"),
            format!("{name}@{digest}"),
        );
        let deleted = self.db.write(move |tx| {
            Box::pin(async move {
                let id = repository::id(tx, &name)
                    .await?
                    .ok_or(Error::BlobUnknown(digest))?;
                if let Some(manifest) = blob::named_by(tx, id, &digest).await? {
                    return Err(Error::BlobInUse {
                        blob: digest,
                        manifest,
                    });
                }
                if !blob::unlink(tx, (id, &name), &digest).await? {
                    return Err(Error::BlobUnknown(digest));
                }
                Ok(audit::append(tx, &entry).await?)
            })
        });
        deleted.await
    }
}
