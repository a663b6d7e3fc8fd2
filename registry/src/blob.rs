//! Existing blobs: lookup, pull, mount, delete.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use db::blob::{LinkedBlob, Place, StoredBlob};
use db::{blob, blob_event, repository};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use model::{Digest, Operation, RepositoryName, Subject};
use policy::{DeletePermit, PullPermit, PushPermit};
use storage::Chunks;
use storage::budget::Reservation;
use tracing::instrument;

use crate::{Error, Registry, Result};

/// Blobs up to this size are cached in memory after a pull.
const SMALL: u64 = 32 << 10;

/// Bytes of a blob.
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// From the store.
    Stream(Download),
}

/// A piece of a multipart answer.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes between the parts.
    Bytes(Bytes),
    /// A part of the blob, within its size.
    Part(Range<u64>),
}

/// A stream from the store, with its share of the memory for bodies, which each of its chunks keeps.
pub struct Download {
    chunks: Pin<Box<dyn Stream<Item = storage::Result<Bytes>> + Send>>,
    /// Names the blob in errors.
    blob: Digest,
    repository: RepositoryName,
    memory: Arc<Reservation>,
}

impl Stream for Download {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.chunks.as_mut().poll_next(cx));
        Poll::Ready(next.map(|bytes| match bytes {
            Ok(bytes) => Ok(self.memory.attach(bytes)),
            Err(error) => Err(Error::of_blob(self.blob, self.repository.clone(), error)),
        }))
    }
}

impl Piece {
    fn part(&self) -> Option<Range<u64>> {
        match self {
            Self::Bytes(_) => None,
            Self::Part(range) => Some(range.clone()),
        }
    }
}

/// Bytes in the store's form.
fn once(bytes: Bytes) -> Chunks {
    Box::pin(stream::iter([Ok(bytes)]))
}

/// A part of a small blob.
fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

impl Registry {
    /// The blob of this digest that a repository links.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] if it links none.
    pub async fn stat_blob(&self, permit: &PullPermit, digest: &Digest) -> Result<Arc<LinkedBlob>> {
        let found = blob::linked(&self.db, permit.project(), permit.repository(), digest).await?;
        found.ok_or(Error::BlobUnknown(*digest))
    }

    /// Extends the lease of a blob that a client was told exists, because clients do not upload blobs that they have
    /// seen. Writes only if nothing references the blob and half of its lease is over.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] if it was removed meanwhile.
    pub async fn renew_blob(&self, permit: &PullPermit, linked: &LinkedBlob) -> Result<()> {
        let half = self.clock.now().plus(self.limits.grace / 2);
        if linked.lease_until >= half {
            return Ok(());
        }
        Box::pin(self.renew_unless_named(permit, linked)).await
    }

    async fn renew_unless_named(&self, permit: &PullPermit, linked: &LinkedBlob) -> Result<()> {
        let (project, name) = (permit.project(), permit.repository());
        let mut tx = self.db.reader().await?;
        if blob::is_named(&mut tx, (project, name), &linked.blob.digest).await? {
            return Ok(());
        }
        drop(tx);
        let (name, stored) = (name.clone(), linked.blob.clone());
        let lease = self.clock.now().plus(self.limits.grace);
        let renewed = self.db.write_in(project, move |tx| {
            Box::pin(async move {
                match repository::id(tx, project, &name).await? {
                    Some(id) => blob::renew(tx, (id, &name), &stored, lease).await,
                    None => Ok(false),
                }
            })
        });
        if renewed.await? {
            Ok(())
        } else {
            Err(Error::BlobUnknown(linked.blob.digest))
        }
    }

    /// The bytes of a blob within a range, which must lie within its size.
    ///
    /// # Errors
    /// [`Error::BlobLost`] or [`Error::BlobUnreadable`], at once or within the stream.
    pub async fn read_blob(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        range: Range<u64>,
    ) -> Result<Content> {
        self.record_blob_pull(permit).await?;
        self.blob_content(permit, blob, range).await
    }

    /// As [`Registry::read_blob`], for the registry's own work, which is no pull.
    ///
    /// # Errors
    /// As there.
    pub async fn blob_content(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        range: Range<u64>,
    ) -> Result<Content> {
        if blob.size <= SMALL {
            let bytes = self.small_blob(permit, blob).await?;
            return Ok(Content::Bytes(slice(&bytes, &range)));
        }
        let length = range.end - range.start;
        let memory = self.memory.for_download(permit.caller(), length).await?;
        let chunks = self.open_blob(permit, blob, range).await?;
        Ok(self.download(permit, blob, chunks, memory))
    }

    /// As [`Registry::read_blob`], for several parts with bytes between them. Parts are read one after the other,
    /// starting with the first at once.
    ///
    /// # Errors
    /// As there.
    pub async fn read_pieces(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        pieces: impl Iterator<Item = Piece> + Clone + Send + 'static,
    ) -> Result<Content> {
        self.record_blob_pull(permit).await?;
        if blob.size <= SMALL {
            let bytes = self.small_blob(permit, blob).await?;
            let pieces = pieces.map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Part(range) => slice(&bytes, &range),
            });
            return Ok(Content::Bytes(pieces.collect::<Vec<_>>().concat().into()));
        }
        let memory = self.memory.for_download(permit.caller(), blob.size).await?;
        let mut first = match pieces.clone().find_map(|piece| piece.part()) {
            Some(range) => Some(self.open_blob(permit, blob, range).await?),
            None => None,
        };
        let (store, key) = (self.store.clone(), blob.key.clone());
        let chunks = stream::iter(pieces).then(move |piece| {
            let (store, key) = (store.clone(), key.clone());
            let opened = piece.part().and_then(|_| first.take());
            async move {
                match (piece, opened) {
                    (Piece::Bytes(bytes), _) => Ok(once(bytes)),
                    (Piece::Part(_), Some(opened)) => Ok(opened),
                    (Piece::Part(range), None) => store.read(&key, range).await,
                }
            }
        });
        Ok(self.download(permit, blob, chunks.try_flatten(), memory))
    }

    async fn open_blob(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        range: Range<u64>,
    ) -> Result<Chunks> {
        let opened = self.store.read(&blob.key, range).await;
        opened.map_err(|error| Error::of_blob(blob.digest, permit.repository().clone(), error))
    }

    fn download(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        chunks: impl Stream<Item = storage::Result<Bytes>> + Send + 'static,
        memory: Reservation,
    ) -> Content {
        Content::Stream(Download {
            chunks: Box::pin(chunks),
            blob: blob.digest,
            repository: permit.repository().clone(),
            memory: Arc::new(memory),
        })
    }

    /// A URL at which the caller can read a blob directly from the store until it expires; `None` if the store has no
    /// URLs.
    ///
    /// # Errors
    /// When the store cannot sign, or the pull cannot be recorded.
    pub async fn blob_url(
        &self,
        permit: &PullPermit,
        blob: &StoredBlob,
        lasts: Duration,
    ) -> Result<Option<String>> {
        let url = self.store.presigned(&blob.key, lasts).await?;
        if url.is_some() {
            self.record_blob_pull(permit).await?;
        }
        Ok(url)
    }

    /// A small blob, whole: its bytes are compared with its digest once, and then cached without a time limit.
    async fn small_blob(&self, permit: &PullPermit, blob: &StoredBlob) -> Result<Bytes> {
        if let Some(bytes) = self.small_blobs.get(&blob.digest) {
            return Ok(bytes);
        }
        let chunks = self.open_blob(permit, blob, 0..blob.size).await?;
        let chunks: Result<Vec<Bytes>, _> = chunks.try_collect().await;
        let chunks = chunks
            .map_err(|error| Error::of_blob(blob.digest, permit.repository().clone(), error))?;
        let bytes = Bytes::from(chunks.concat());
        if Digest::of(blob.digest.algorithm(), &bytes) != blob.digest {
            return Err(Error::BlobDamaged(blob.digest));
        }
        self.small_blobs.insert(blob.digest, bytes.clone());
        Ok(bytes)
    }

    /// Links a blob from a repository that the caller may pull from. Returns false if there is no such blob.
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
        let Some(found) =
            blob::linked(&self.db, source.project(), source.repository(), digest).await?
        else {
            return Ok(false);
        };
        let (project, name) = (permit.project(), permit.repository().clone());
        let (now, digest) = (self.clock.now(), *digest);
        let lease = now.plus(self.limits.grace);
        let event = self.blob_event(permit, Some(source.repository()));
        let linked = self.charging(project, move |taking, tx| {
            let (name, found, event) = (name.clone(), found.clone(), event.clone());
            Box::pin(async move {
                // Checked again: it may have been removed since.
                let live = blob::hold_live(tx, &digest).await?;
                let Some(live) = live.filter(|live| live.id == found.blob.id) else {
                    return Ok(false);
                };
                let at = Place {
                    project,
                    repository: repository::ensure(tx, project, &name, now).await?,
                    name: &name,
                    taking,
                };
                blob::link(tx, at, &live, lease)
                    .await?
                    .map_err(Error::QuotaExceeded)?;
                if let Some(event) = event {
                    blob_event::insert(tx, &event, (&live.digest, live.size)).await?;
                }
                Ok::<_, Error>(true)
            })
        });
        linked.await
    }

    /// Repositories of the same project that link a blob, as sources for a mount without one. Its duration does not
    /// depend on other projects, which may be hidden from the caller.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn siblings_with(
        &self,
        permit: &PushPermit,
        digest: &Digest,
    ) -> Result<Vec<RepositoryName>> {
        let mut tx = self.db.reader().await?;
        Ok(blob::linking(&mut tx, permit.project(), digest, 32).await?)
    }

    /// Removes a blob from a repository. A lost blob may be removed even if a manifest names it.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] if the repository has none, [`Error::BlobInUse`] if one of its manifests names the blob.
    #[instrument(name = "registry.blob.delete", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn delete_blob(&self, permit: &DeletePermit, digest: &Digest) -> Result<()> {
        let (name, digest) = (permit.repository().clone(), *digest);
        let project = permit.project();
        let due = self.clock.now().plus(self.limits.hold);
        let subject = Subject::Blob {
            project,
            repository: name.clone(),
            digest: Some(digest),
        };
        let event = self.event(permit.caller(), Operation::Delete, subject);
        let deleted = self.charging(project, move |taking, tx| {
            let (name, event) = (name.clone(), event.clone());
            Box::pin(async move {
                let unknown = || Error::BlobUnknown(digest);
                let id = repository::id(tx, project, &name).await?;
                let id = id.ok_or_else(unknown)?;
                // Locked first, so that no manifest that names it can be pushed meanwhile.
                let stored = blob::hold_alone(tx, &digest).await?.ok_or_else(unknown)?;
                if blob::lost_since(tx, stored.id).await?.is_none()
                    && let Some(manifest) = blob::named_by(tx, id, &digest).await?
                {
                    return Err(Error::BlobInUse {
                        blob: digest,
                        manifest,
                    });
                }
                // Deleted manifests may name it, as may those whose blob was lost.
                blob::release_references(tx, id, stored.id).await?;
                let at = Place {
                    project,
                    repository: id,
                    name: &name,
                    taking,
                };
                if !blob::unlink(tx, at, &stored, due).await? {
                    return Err(unknown());
                }
                repository::remove_unused(tx, &[id]).await?;
                Ok(tx.record(&event).await?)
            })
        });
        deleted.await
    }
}
