//! Writing a session: its writer, bytes and checkpoints.

use std::time::{Duration, Instant};

use bytes::Bytes;
use db::upload::{self, Durable};
use model::Hasher;
use policy::PushPermit;
use storage::{BlobWriter, Checkpoint};

use super::turn::Turn;
use super::unnamed::Key;
use super::{Extent, Session, checkpoint_of, in_order};
use crate::body::Batches;
use crate::memory;
use crate::{BodyError, Error, Registry, Result};

/// How often a session records at least that bytes arrive, so that a slow one does not count as idle.
const RENEWED: Duration = Duration::from_secs(30);

/// An upload being written by this request.
pub(super) struct Writing {
    pub(super) writer: Box<dyn BlobWriter>,
    pub(super) turn: Turn,
    pub(super) key: Key,
    /// Epoch of the session's row; `None` while it has none.
    pub(super) epoch: Option<i64>,
    pub(super) size: u64,
    /// True if another process wrote bytes of it before.
    pub(super) rehash: bool,
    /// Bytes charged to the project in advance.
    reserved: i64,
}

/// When a session's row is created.
#[derive(Clone, Copy)]
pub(super) enum FirstRow {
    /// Before its bytes, which may take any time to arrive.
    AtOnce,
    /// Together with its bytes, which have all arrived: one transaction instead of two.
    WithTheBytes,
}

impl FirstRow {
    pub(super) fn for_body(ended: &Option<Result<(), BodyError>>) -> Self {
        match ended {
            Some(_) => Self::WithTheBytes,
            None => Self::AtOnce,
        }
    }
}

impl Registry {
    /// Becomes the session's only writer.
    pub(super) async fn take_over(
        &self,
        permit: &PushPermit,
        session: &Session,
        extent: Extent,
        first: FirstRow,
    ) -> Result<Writing> {
        let turn = self.turns.take(session.id()).await;
        let row = self.row(session).await?;
        // It may have been continued while the first bytes arrived.
        in_order(session, extent, row.as_ref().map_or(0, |row| row.size))?;
        let mut writing = match row {
            Some(_) => self.resume(session, turn).await?,
            None => self.begin(permit, session, turn, first).await?,
        };
        writing.writer.write_for(memory::holder(permit.caller()));
        match self.reserve(permit, session, &mut writing, extent).await {
            Ok(()) => Ok(writing),
            Err(error) => Err(self.abandon(session, writing, error).await),
        }
    }

    /// Charges a project with a quota in advance, if the number of bytes is known.
    async fn reserve(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
        extent: Extent,
    ) -> Result<()> {
        let (Some(epoch), Some(length)) = (writing.epoch, extent.length) else {
            return Ok(());
        };
        let wanted = i64::try_from(writing.size.saturating_add(length)).unwrap_or(i64::MAX);
        if !permit.is_limited() || wanted <= writing.reserved {
            return Ok(());
        }
        let (id, project) = (session.id().to_owned(), permit.project());
        let reserved = writing.reserved;
        let charged = self.charging(project, move |taking, tx| {
            let id = id.clone();
            Box::pin(async move {
                let charge = (reserved, wanted);
                upload::reserve(tx, (&id, epoch), (project, taking), charge)
                    .await?
                    .map_err(Error::QuotaExceeded)
            })
        });
        charged.await?;
        writing.reserved = wanted;
        Ok(())
    }

    async fn resume(&self, session: &Session, turn: Turn) -> Result<Writing> {
        let id = session.id().to_owned();
        let expires_at = self.clock.now().plus(self.limits.upload_expiry);
        let process = self.process.to_string();
        let taken = self.db.write(move |tx| {
            Box::pin(async move { upload::take_over(tx, &id, &process, expires_at).await })
        });
        let row = taken.await?.ok_or(Error::UploadUnknown)?;
        let checkpoint = checkpoint_of(session, &row)?;
        let key = row.key.ok_or(Error::UploadUnknown)?;
        let (key, writer) = if row.size == 0 {
            let key = self.rekey(session, row.epoch, &key).await?;
            let hasher = Hasher::new(session.algorithm());
            let writer = self.store.create(&key, hasher).await?;
            (key, writer)
        } else {
            let writer = self.store.resume(&key, checkpoint).await?;
            (self.unnamed.add(key), writer)
        };
        Ok(Writing {
            writer,
            turn,
            key,
            epoch: Some(row.epoch),
            size: row.size,
            rehash: row.rehash && row.size > 0,
            reserved: row.reserved,
        })
    }

    /// Without a checkpoint, the object's state is unknown, and another process may still be writing it: this one
    /// starts a new object.
    async fn rekey(&self, session: &Session, epoch: i64, before: &str) -> Result<Key> {
        let (id, key, now) = (session.id().to_owned(), self.new_key(), self.clock.now());
        let (before, new) = (before.to_owned(), key.to_string());
        let rekeyed = self.db.write(move |tx| {
            Box::pin(async move { upload::rekey(tx, (&id, epoch), (&before, &new), now).await })
        });
        if !rekeyed.await? {
            return Err(Error::UploadUnknown);
        }
        Ok(key)
    }

    async fn begin(
        &self,
        permit: &PushPermit,
        session: &Session,
        turn: Turn,
        first: FirstRow,
    ) -> Result<Writing> {
        let key = self.new_key();
        let epoch = match first {
            FirstRow::WithTheBytes => None,
            FirstRow::AtOnce => {
                let nothing = Durable::default();
                Some(self.make_row(permit, session, &key, nothing).await?)
            }
        };
        let writer = self
            .store
            .create(&key, Hasher::new(session.algorithm()))
            .await?;
        Ok(Writing {
            writer,
            turn,
            key,
            epoch,
            size: 0,
            rehash: false,
            reserved: 0,
        })
    }

    /// Creates the session's row; returns its first epoch.
    async fn make_row(
        &self,
        permit: &PushPermit,
        session: &Session,
        key: &str,
        durable: Durable,
    ) -> Result<i64> {
        const FIRST: i64 = 1;
        let (id, now) = (session.id().to_owned(), self.clock.now());
        let expires_at = now.plus(self.limits.upload_expiry);
        let (owner, key) = (self.owner(permit), key.to_owned());
        let begun = self.db.write_in(owner.project, move |tx| {
            Box::pin(async move {
                let at = (key.as_str(), &durable);
                upload::begin(tx, &id, &owner, at, now, expires_at).await
            })
        });
        if begun.await? {
            Ok(FIRST)
        } else {
            Err(Error::UploadUnknown)
        }
    }

    /// Writes a body to its end; returns how it ended.
    pub(super) async fn receive(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
        first: (Vec<Bytes>, Option<Result<(), BodyError>>),
        batches: &mut Batches,
    ) -> Result<Result<(), BodyError>> {
        let (mut batch, mut ended) = first;
        // Long before it would count as idle.
        let often = RENEWED.min(self.limits.upload_expiry / 4);
        let mut noted = Instant::now();
        loop {
            let length: u64 = batch.iter().map(|bytes| bytes.len() as u64).sum();
            let mut reached = None;
            if length > 0 {
                reached = writing.writer.write(batch).await?;
                writing.size += length;
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
            if let Some(checkpoint) = reached {
                self.note(permit, session, writing, checkpoint).await?;
                noted = Instant::now();
            } else if length > 0 && noted.elapsed() >= often {
                self.renew(session, writing.epoch).await?;
                noted = Instant::now();
            }
            (batch, ended) = tokio::select! {
                next = batches.next() => next,
                () = writing.turn.stopped() => return Err(Error::TakenOver),
            };
        }
    }

    /// Makes all bytes durable, then records that in the row, which is created if there is none yet.
    pub(super) async fn checkpoint(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
    ) -> Result<()> {
        let checkpoint = writing.writer.checkpoint().await?;
        self.note(permit, session, writing, checkpoint).await
    }

    /// Records in the row what is durable.
    async fn note(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
        checkpoint: Checkpoint,
    ) -> Result<()> {
        let durable = Durable {
            size: checkpoint.size,
            hash_state: Some(checkpoint.hasher.state()),
            store_state: checkpoint.state,
        };
        let Some(epoch) = writing.epoch else {
            let epoch = self.make_row(permit, session, &writing.key, durable);
            writing.epoch = Some(epoch.await?);
            return Ok(());
        };
        let id = session.id().to_owned();
        let expires_at = self.clock.now().plus(self.limits.upload_expiry);
        let noted = self.db.write(move |tx| {
            Box::pin(
                async move { upload::checkpoint(tx, (&id, epoch), &durable, expires_at).await },
            )
        });
        if noted.await? {
            Ok(())
        } else {
            Err(Error::UploadUnknown)
        }
    }

    /// Records in the row that bytes arrive, though no more are durable yet.
    async fn renew(&self, session: &Session, epoch: Option<i64>) -> Result<()> {
        let Some(epoch) = epoch else { return Ok(()) };
        let id = session.id().to_owned();
        let expires_at = self.clock.now().plus(self.limits.upload_expiry);
        let renewed = self.db.write(move |tx| {
            Box::pin(async move { upload::renew(tx, (&id, epoch), expires_at).await })
        });
        if renewed.await? {
            Ok(())
        } else {
            Err(Error::UploadUnknown)
        }
    }

    /// The reason of a failed write. If another request took the session over at its beginning, it removed this
    /// writer's object, which is not a failure of the store.
    pub(super) async fn reason(
        &self,
        session: &Session,
        epoch: Option<i64>,
        error: Error,
    ) -> Error {
        let (Error::Storage(_), Some(epoch)) = (&error, epoch) else {
            return error;
        };
        match self.row(session).await {
            Ok(Some(row)) if row.epoch == epoch => error,
            Ok(_) | Err(Error::UploadUnknown) => Error::UploadUnknown,
            Err(_) => error,
        }
    }

    /// Ends in failure: once this returns, nothing changes the bytes any more, and an object without a row is deleted.
    pub(super) async fn abandon(&self, session: &Session, writing: Writing, error: Error) -> Error {
        writing.writer.abandon().await;
        let error = self.reason(session, writing.epoch, error).await;
        // A commit whose answer was lost may have created the row: the sweeper checks.
        let uncertain = matches!(error, Error::Database(_));
        if writing.epoch.is_none() && !uncertain {
            self.discard(&writing.key).await;
        }
        error
    }
}
