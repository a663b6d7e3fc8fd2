//! Upload sessions: bytes a client has sent but not yet committed, and how they become a blob.
//! Idle sessions are swept by the `upload_expiry` job.

mod commit;
mod session;
mod turn;
mod unnamed;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use db::blob::StoredBlob;
use db::quota;
use db::upload::{self, Cancelled, Owner, State, Upload};
use model::{Algorithm, ContentRange, Digest, Hasher, Timestamp};
use policy::PushPermit;
use storage::{Checkpoint, key};
use tracing::{Instrument as _, instrument};

pub use session::Session;
pub(crate) use turn::Turns;
use unnamed::Key;
pub(crate) use unnamed::Unnamed;
use writing::FirstRow;

use crate::body::Batches;
use crate::{Body, Error, Registry, Result};

/// The bytes of a request.
pub struct Chunk {
    /// What is known of them in advance.
    pub extent: Extent,
    /// The bytes.
    pub body: Body,
}

/// What is known of the bytes in advance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Their offset.
    pub range: Option<ContentRange>,
    /// Their number.
    pub length: Option<u64>,
}

impl Registry {
    /// Starts a session. Nothing is written: its ID contains all of its state.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] if the project already exceeds its quota.
    pub async fn begin_upload(&self, permit: &PushPermit, algorithm: Algorithm) -> Result<Session> {
        if permit.is_limited() {
            let mut tx = self.db.reader().await?;
            if let Some(over) = quota::exceeded(&mut tx, permit.project()).await? {
                return Err(Error::QuotaExceeded(over));
            }
        }
        Ok(Session::begin(
            &self.master,
            permit,
            algorithm,
            self.clock.now(),
        ))
    }

    /// The session of an ID, which must have been issued to the same caller for the same repository.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] for any other ID.
    pub fn upload_session(&self, permit: &PushPermit, id: &str) -> Result<Session> {
        Session::read(&self.master, permit, id).ok_or(Error::UploadUnknown)
    }

    /// The number of durable bytes of a session.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] if it has ended.
    pub async fn upload_size(&self, session: &Session) -> Result<u64> {
        Ok(self.row(session).await?.map_or(0, |row| row.size))
    }

    /// The row of an open session; `None` before its first byte.
    async fn row(&self, session: &Session) -> Result<Option<Upload>> {
        let mut tx = self.db.reader().await?;
        match upload::get(&mut tx, session.id()).await? {
            Some(row) if row.state == State::Open && row.expires_at >= self.clock.now() => {
                Ok(Some(row))
            }
            Some(_) => Err(Error::UploadUnknown),
            None if session.started().plus(self.limits.upload_expiry) < self.clock.now() => {
                Err(Error::UploadUnknown)
            }
            None => Ok(None),
        }
    }

    /// Appends a chunk, and returns the session's new length. Runs to a checkpoint even if the client leaves.
    ///
    /// # Errors
    /// [`Error::ChunkOutOfOrder`] if the chunk does not begin at the session's offset. Bytes received before a
    /// connection was cut are kept.
    #[instrument(name = "registry.upload.append", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn append_upload(
        self: &Arc<Self>,
        permit: &PushPermit,
        session: &Session,
        chunk: Chunk,
    ) -> Result<u64> {
        let (this, permit, session) = (self.clone(), permit.clone(), session.clone());
        self.to_the_end(async move { this.append(&permit, &session, chunk).await })
            .await
    }

    /// Appends the last bytes, if any, and commits the blob. Runs to completion even if the client leaves.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`], which ends the session, and those of [`Registry::append_upload`].
    #[instrument(name = "registry.upload.finish", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn finish_upload(
        self: &Arc<Self>,
        permit: &PushPermit,
        session: &Session,
        digest: &Digest,
        chunk: Chunk,
    ) -> Result<StoredBlob> {
        let (this, permit, session, digest) =
            (self.clone(), permit.clone(), session.clone(), *digest);
        self.to_the_end(async move { this.finish(&permit, &session, &digest, chunk).await })
            .await
    }

    /// Runs work that must not be interrupted when a connection is closed.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks
            .spawn(work.in_current_span())
            .await
            .map_err(|error| Error::Interrupted("write the upload", error))?
    }

    async fn append(
        &self,
        permit: &PushPermit,
        session: &Session,
        Chunk { extent, body }: Chunk,
    ) -> Result<u64> {
        let row = self.row(session).await?;
        let at = row.as_ref().map_or(0, |row| row.size);
        in_order(session, extent, at)?;
        let _memory = self
            .memory
            .for_upload(permit.caller(), extent.length)
            .await?;
        let mut batches = Batches::new(body);
        let (first, ended) = batches.next().await;
        if first.is_empty() {
            ended.unwrap_or(Ok(()))?;
            right_size(extent, 0)?;
            return Ok(at);
        }
        let row = FirstRow::for_body(&ended);
        let mut writing = self.take_over(permit, session, extent, row).await?;
        let at = writing.size;
        let received = self
            .receive(permit, session, &mut writing, (first, ended), &mut batches)
            .await;
        let ended = match received {
            Ok(ended) => ended,
            Err(error) => return Err(self.abandon(session, writing, error).await),
        };
        if ended.is_ok()
            && let Err(error) = right_size(extent, writing.size - at)
        {
            return Err(self.abandon(session, writing, error).await);
        }
        if let Err(error) = self.checkpoint(permit, session, &mut writing).await {
            return Err(self.abandon(session, writing, error).await);
        }
        ended?;
        Ok(writing.size)
    }

    async fn finish(
        &self,
        permit: &PushPermit,
        session: &Session,
        digest: &Digest,
        Chunk { extent, body }: Chunk,
    ) -> Result<StoredBlob> {
        let row = self.row(session).await?;
        in_order(session, extent, row.as_ref().map_or(0, |row| row.size))?;
        let _memory = self
            .memory
            .for_upload(permit.caller(), extent.length)
            .await?;
        let mut batches = Batches::new(body);
        let (first, ended) = batches.next().await;
        let (object, finished) = match (row, ended) {
            (Some(_), Some(Ok(()))) if first.is_empty() => {
                right_size(extent, 0)?;
                self.finish_as_stored(session, extent).await?
            }
            (None, Some(Ok(()))) => {
                right_size(extent, first.iter().map(|bytes| bytes.len() as u64).sum())?;
                self.finish_in_one(session, first).await?
            }
            (_, ended) => {
                let row = FirstRow::AtOnce;
                let writing = self.take_over(permit, session, extent, row).await?;
                self.finish_received(permit, session, writing, extent, (first, ended), batches)
                    .await?
            }
        };
        self.commit(permit, session, digest, object, finished).await
    }

    /// Cancels a session; its ID is not reused.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] if it has already ended.
    #[instrument(name = "registry.upload.cancel", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn cancel_upload(&self, permit: &PushPermit, session: &Session) -> Result<()> {
        let _turn = self.turns.take(session.id()).await;
        self.row(session).await?;
        let (id, owner) = (session.id().to_owned(), self.owner(permit));
        let (now, expires_at) = self.dead_until(session);
        let cancelled = self.db.write_in(owner.project, move |tx| {
            Box::pin(async move { upload::cancel(tx, &id, &owner, now, expires_at).await })
        });
        match cancelled.await? {
            Cancelled::Open | Cancelled::Fresh => Ok(()),
            Cancelled::Over => Err(Error::UploadUnknown),
        }
    }

    /// Now, and the time until which the ID of a session that ends now stays invalid.
    fn dead_until(&self, session: &Session) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        let expires_at = session.started().max(now).plus(self.limits.upload_expiry);
        (now, expires_at)
    }

    /// Deletes an object without a row. If that fails, the sweeper finds it.
    async fn discard(&self, key: &str) {
        if let Err(error) = self.store.discard(key).await {
            tracing::warn!(object.key = key, %error, "cannot discard an object; the sweeper will");
        }
    }

    fn new_key(&self) -> Key {
        let key = key::new(self.clock.now(), self.process, auth::random());
        self.unnamed.add(key)
    }

    fn owner(&self, permit: &PushPermit) -> Owner {
        Owner {
            repository: permit.repository().clone(),
            project: permit.project(),
            principal: permit.caller().id(),
            process: self.process.to_string(),
        }
    }

    /// Ends expired sessions; returns how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_uploads(&self) -> Result<i64> {
        const BATCH: i64 = 100;
        let now = self.db.now(&*self.clock).await?;
        let expired = self
            .db
            .write(move |tx| Box::pin(upload::expire(tx, now, BATCH)));
        Ok(expired.await?)
    }

    /// How long an idle session is kept.
    pub fn upload_expiry(&self) -> Duration {
        self.limits.upload_expiry
    }
}

/// The checkpoint in the row.
fn checkpoint_of(session: &Session, row: &Upload) -> Result<Checkpoint> {
    let hasher = match &row.hash_state {
        None => Hasher::new(session.algorithm()),
        Some(state) => Hasher::from_state(state).ok_or(Error::Database(db::Error::Corrupt {
            table: "upload",
            column: "hash_state",
        }))?,
    };
    Ok(Checkpoint {
        size: row.size,
        hasher,
        state: row.store_state.clone(),
    })
}

fn in_order(session: &Session, extent: Extent, at: u64) -> Result<()> {
    match extent.range {
        Some(range) if range.first != at => Err(Error::ChunkOutOfOrder {
            session: session.id().to_owned(),
            expected: at,
        }),
        _ => Ok(()),
    }
}

fn right_size(extent: Extent, actual: u64) -> Result<()> {
    match extent.range {
        Some(range) if range.length() != actual => Err(Error::SizeMismatch {
            stated: range.length(),
            actual,
        }),
        _ => Ok(()),
    }
}
