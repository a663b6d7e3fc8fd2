//! From a session's bytes to a blob: the last bytes, the digest, the row.

use bytes::Bytes;
use db::blob::{Committed, Place, StoredBlob};
use db::{blob, blob_event, repository, upload};
use futures_util::TryStreamExt as _;
use model::{Algorithm, Digest, Hasher};
use policy::PushPermit;
use storage::Finished;

use super::turn::Turn;
use super::unnamed::Key;
use super::writing::Writing;
use super::{Extent, Session, checkpoint_of, in_order, right_size};
use crate::body::Batches;
use crate::{BodyError, Error, Registry, Result};

/// A complete, durable object that is not a blob yet.
pub(super) struct Object {
    key: Key,
    epoch: Option<i64>,
    /// Whether several processes wrote it.
    rehash: bool,
    /// Held until the blob is committed.
    _turn: Option<Turn>,
}

impl Registry {
    /// This request brings the last bytes, after others or as the only ones.
    pub(super) async fn finish_received(
        &self,
        permit: &PushPermit,
        session: &Session,
        mut writing: Writing,
        extent: Extent,
        first: (Vec<Bytes>, Option<Result<(), BodyError>>),
        mut batches: Batches,
    ) -> Result<(Object, Finished)> {
        let at = writing.size;
        let received = self
            .receive(permit, session, &mut writing, first, &mut batches)
            .await;
        match received {
            Err(error) => return Err(self.abandon(session, writing, error).await),
            Ok(Err(error)) => {
                let kept = self.checkpoint(permit, session, &mut writing).await;
                let error = kept.err().unwrap_or(error.into());
                return Err(self.abandon(session, writing, error).await);
            }
            Ok(Ok(())) => {}
        }
        if let Err(error) = right_size(extent, writing.size - at) {
            return Err(self.abandon(session, writing, error).await);
        }
        let finished = match writing.writer.finish(Vec::new()).await {
            Ok(finished) => finished,
            Err(error) => return Err(self.reason(session, writing.epoch, error.into()).await),
        };
        Ok((
            Object {
                key: writing.key,
                epoch: writing.epoch,
                rehash: writing.rehash,
                _turn: Some(writing.turn),
            },
            finished,
        ))
    }

    /// All bytes came with earlier requests and are durable.
    pub(super) async fn finish_as_stored(
        &self,
        session: &Session,
        extent: Extent,
    ) -> Result<(Object, Finished)> {
        let turn = self.turns.take(session.id()).await;
        let row = self.row(session).await?.ok_or(Error::UploadUnknown)?;
        in_order(session, extent, row.size)?;
        let checkpoint = checkpoint_of(session, &row)?;
        let key = row.key.ok_or(Error::UploadUnknown)?;
        let finished = Finished {
            size: row.size,
            digest: checkpoint.hasher.clone().finish(),
        };
        self.store.seal(&key, checkpoint).await?;
        Ok((
            Object {
                key: self.unnamed.add(key),
                epoch: Some(row.epoch),
                rehash: row.rehash,
                _turn: Some(turn),
            },
            finished,
        ))
    }

    /// This request brought all bytes, and they are few: the session never gets a row.
    pub(super) async fn finish_in_one(
        &self,
        session: &Session,
        bytes: Vec<Bytes>,
    ) -> Result<(Object, Finished)> {
        let key = self.new_key();
        let writer = self
            .store
            .create(&key, Hasher::new(session.algorithm()))
            .await?;
        let finished = match writer.finish(bytes).await {
            Ok(finished) => finished,
            Err(error) => {
                self.discard(&key).await;
                return Err(error.into());
            }
        };
        Ok((
            Object {
                key,
                epoch: None,
                rehash: false,
                _turn: None,
            },
            finished,
        ))
    }

    /// Bytes are durable: now the blob may exist.
    pub(super) async fn commit(
        &self,
        permit: &PushPermit,
        session: &Session,
        stated: &Digest,
        object: Object,
        finished: Finished,
    ) -> Result<StoredBlob> {
        let Object {
            key,
            epoch,
            rehash,
            _turn,
        } = object;
        let finished = if rehash {
            self.store.detach(&key, finished).await?
        } else {
            finished
        };
        let actual = self.digest_as(stated.algorithm(), &key, finished).await?;
        if actual != *stated {
            self.end(permit, session, epoch, &key).await?;
            return Err(Error::DigestMismatch {
                stated: *stated,
                actual,
            });
        }
        let (id, name, project) = (
            session.id().to_owned(),
            permit.repository().clone(),
            permit.project(),
        );
        let (now, object_key) = (self.clock.now(), key.to_string());
        let (lease, due) = (now.plus(self.limits.grace), now.plus(self.limits.hold));
        let event = self.blob_event(permit, None);
        let committed = self.charging(project, move |taking, tx| {
            let (id, name, object_key) = (id.clone(), name.clone(), object_key.clone());
            let event = event.clone();
            Box::pin(async move {
                let repository = repository::ensure(tx, project, &name, now).await?;
                if let Some(epoch) = epoch {
                    upload::close(tx, (&id, epoch)).await?;
                }
                let at = Place {
                    project,
                    repository,
                    name: &name,
                    taking,
                };
                let object = blob::Object {
                    key: &object_key,
                    size: finished.size,
                };
                let (row, charged) = match blob::commit(tx, &actual, object, now, due).await? {
                    Committed::New(row) => {
                        let charged = blob::link_new(tx, at, &row, lease).await?;
                        (row, charged)
                    }
                    Committed::Known(row) => {
                        let charged = blob::link(tx, at, &row, lease).await?;
                        (row, charged)
                    }
                };
                charged.map_err(Error::QuotaExceeded)?;
                if let Some(event) = event {
                    blob_event::insert(tx, &event, (&row.digest, row.size)).await?;
                }
                Ok::<_, Error>(row)
            })
        });
        match committed.await {
            Err(error @ (Error::QuotaExceeded(_) | Error::ProjectGone)) => {
                self.end(permit, session, epoch, &key).await?;
                Err(error)
            }
            Ok(row) => {
                if row.key != *key {
                    // It already counts as garbage, in case this fails.
                    self.discard(&key).await;
                }
                Ok(row)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a session whose bytes do not become a blob, unless another request took it over.
    async fn end(
        &self,
        permit: &PushPermit,
        session: &Session,
        epoch: Option<i64>,
        key: &str,
    ) -> Result<()> {
        let (id, owner) = (session.id().to_owned(), self.owner(permit));
        let (now, expires_at) = self.dead_until(session);
        let ended = self.db.write_in(owner.project, move |tx| {
            Box::pin(
                async move { Ok(upload::end(tx, (&id, epoch), &owner, now, expires_at).await?) },
            )
        });
        match ended.await {
            // Its sessions were removed with the project.
            Ok(()) | Err(Error::ProjectGone) => {}
            Err(error) => return Err(error),
        }
        if epoch.is_none() {
            self.discard(key).await;
        }
        Ok(())
    }

    /// The digest by an algorithm other than the one used during the upload: the object is read again.
    async fn digest_as(
        &self,
        algorithm: Algorithm,
        key: &str,
        finished: Finished,
    ) -> Result<Digest> {
        if finished.digest.algorithm() == algorithm {
            return Ok(finished.digest);
        }
        let mut hasher = Hasher::new(algorithm);
        let mut chunks = self.store.read(key, 0..finished.size).await?;
        while let Some(bytes) = chunks.try_next().await? {
            let hashed = tokio::task::spawn_blocking(move || {
                hasher.update(&bytes);
                hasher
            });
            hasher = hashed
                .await
                .map_err(|error| Error::Interrupted("hash the upload", error))?;
        }
        Ok(hasher.finish())
    }
}
