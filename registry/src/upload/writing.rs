//! Writing a session: who goes on with it, its bytes, its checkpoints.

use bytes::Bytes;
use db::upload::{self, Durable};
use model::{ContentRange, Hasher};
use policy::PushPermit;
use storage::BlobWriter;

use super::turn::Turn;
use super::{Session, account, hasher, in_order};
use crate::body::Batches;
use crate::{BodyError, Error, Registry, Result};

/// Bytes after which a running upload is checkpointed.
const CHECKPOINT: u64 = 64 << 20;

/// An upload that this request writes.
pub(super) struct Writing {
    pub(super) writer: Box<dyn BlobWriter>,
    pub(super) turn: Turn,
    pub(super) key: String,
    /// Epoch of the session's row; `None` while it has none.
    pub(super) epoch: Option<i64>,
    pub(super) size: u64,
}

/// When a session's row is made.
#[derive(Clone, Copy)]
pub(super) enum FirstRow {
    /// Before its bytes, which may take any time to come.
    AtOnce,
    /// With its bytes, which are all here: one transaction instead of two.
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
        range: Option<ContentRange>,
        first: FirstRow,
    ) -> Result<Writing> {
        let turn = self.turns.take(session.id()).await;
        let row = self.row(session).await?;
        // It may have gone on while the first bytes came.
        in_order(session, range, row.as_ref().map_or(0, |row| row.size))?;
        match row {
            Some(_) => self.resume(session, turn).await,
            None => self.begin(permit, session, turn, first).await,
        }
    }

    async fn resume(&self, session: &Session, turn: Turn) -> Result<Writing> {
        let id = session.id().to_owned();
        let expires_at = self.clock.now().plus(self.limits.upload_expiry);
        let taken = self
            .db
            .write(move |tx| Box::pin(async move { upload::take_over(tx, &id, expires_at).await }));
        let row = taken.await?.ok_or(Error::UploadUnknown)?;
        let key = row.key.ok_or(Error::UploadUnknown)?;
        let hasher = hasher(session, row.hash_state.as_deref())?;
        // Without a checkpoint there may be no file yet.
        let writer = if row.size == 0 {
            self.store.delete(&key).await?;
            self.store.create(&key, hasher).await?
        } else {
            self.store.resume(&key, row.size, hasher).await?
        };
        Ok(Writing {
            writer,
            turn,
            key,
            epoch: Some(row.epoch),
            size: row.size,
        })
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
        })
    }

    /// Makes the session's row; its first epoch.
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
        let (name, account, key) = (permit.repository().clone(), account(permit), key.to_owned());
        let begun = self.db.write(move |tx| {
            Box::pin(async move {
                let at = (key.as_str(), &durable);
                upload::begin(tx, &id, (&name, account), at, now, expires_at).await
            })
        });
        if begun.await? {
            Ok(FIRST)
        } else {
            Err(Error::UploadUnknown)
        }
    }

    /// Writes a body to its end; how it ended.
    pub(super) async fn receive(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
        first: (Vec<Bytes>, Option<Result<(), BodyError>>),
        batches: &mut Batches,
    ) -> Result<Result<(), BodyError>> {
        let (mut batch, mut ended) = first;
        let mut since_checkpoint = 0;
        loop {
            let length: u64 = batch.iter().map(|bytes| bytes.len() as u64).sum();
            if length > 0 {
                writing.writer.write(batch).await?;
                writing.size += length;
                since_checkpoint += length;
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
            if since_checkpoint >= CHECKPOINT {
                self.checkpoint(permit, session, writing).await?;
                since_checkpoint = 0;
            }
            (batch, ended) = tokio::select! {
                next = batches.next() => next,
                () = writing.turn.stopped() => return Err(Error::TakenOver),
            };
        }
    }

    /// Makes all bytes durable, then says so in the row, which is made where there is none yet.
    pub(super) async fn checkpoint(
        &self,
        permit: &PushPermit,
        session: &Session,
        writing: &mut Writing,
    ) -> Result<()> {
        let checkpoint = writing.writer.checkpoint().await?;
        let durable = Durable {
            size: checkpoint.size,
            hash_state: Some(checkpoint.hasher.state()),
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

    /// Ends in failure: nothing reaches the bytes any more when this returns, and those that no row names
    /// are gone.
    pub(super) async fn abandon(&self, writing: Writing, error: Error) -> Error {
        writing.writer.abandon().await;
        // A commit whose answer was lost may have made the row: the sweeper finds out.
        let uncertain = matches!(error, Error::Database(_));
        if writing.epoch.is_none() && !uncertain {
            self.discard(&writing.key).await;
        }
        error
    }
}
