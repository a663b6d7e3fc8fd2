//! Upload sessions: bytes a client has sent but not yet committed, and how they become a blob.
//! Idle sessions are swept by the `upload_expiry` job.

mod session;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use db::blob::StoredBlob;
use db::upload::{State, Upload};
use db::{blob, repository, upload};
use futures_util::TryStreamExt as _;
use model::{AccountId, Algorithm, ContentRange, Digest, Hasher};
use policy::PushPermit;
use storage::{BlobWriter, Finished, key};

pub use session::Session;
use turn::Turn;
pub(crate) use turn::Turns;

use crate::body::Batches;
use crate::{Body, Error, Registry, Result};

/// Bytes after which a running upload is checkpointed.
const CHECKPOINT: u64 = 64 << 20;

/// An upload that this request writes.
struct Writing {
    writer: Box<dyn BlobWriter>,
    turn: Turn,
    key: String,
    /// Epoch of the session's row; `None` while it has none.
    epoch: Option<i64>,
    size: u64,
}

impl Writing {
    /// Ends in failure: nothing reaches the bytes any more when this returns.
    async fn abandon(self, error: Error) -> Error {
        self.writer.abandon().await;
        error
    }
}

/// An object that is complete and durable, not yet a blob.
struct Object {
    key: String,
    epoch: Option<i64>,
    /// Held until the blob is committed.
    _turn: Option<Turn>,
}

impl Registry {
    /// Begins a session. Nothing is written: its id says all there is to know.
    pub fn begin_upload(&self, permit: &PushPermit, algorithm: Algorithm) -> Session {
        Session::begin(&self.master, permit, algorithm, self.clock.now())
    }

    /// The session that an id names, which must have been given to the same caller for the same
    /// repository.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] for all others.
    pub fn upload_session(&self, permit: &PushPermit, id: &str) -> Result<Session> {
        Session::read(&self.master, permit, id).ok_or(Error::UploadUnknown)
    }

    /// How many bytes of a session are durable.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] where it is over.
    pub async fn upload_size(&self, session: &Session) -> Result<u64> {
        Ok(self.row(session).await?.map_or(0, |row| row.size))
    }

    /// The row of a session that takes bytes; `None` before its first byte.
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

    /// Takes a chunk; how many bytes the session has then. Goes on to a checkpoint even if nobody waits
    /// for the answer any more.
    ///
    /// # Errors
    /// [`Error::ChunkOutOfOrder`] where the chunk does not begin where the session stands. What came
    /// before a connection was cut is kept.
    pub async fn append_upload(
        self: &Arc<Self>,
        permit: &PushPermit,
        session: &Session,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<u64> {
        let (this, permit, session) = (self.clone(), permit.clone(), session.clone());
        self.to_the_end(async move { this.append(&permit, &session, range, body).await })
            .await
    }

    /// Takes the last bytes, if any, and makes a blob of all. Goes on to its end even if nobody waits
    /// for the answer any more.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`], after which the session is over, and those of
    /// [`Registry::append_upload`].
    pub async fn finish_upload(
        self: &Arc<Self>,
        permit: &PushPermit,
        session: &Session,
        digest: &Digest,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<StoredBlob> {
        let (this, permit, session, digest) =
            (self.clone(), permit.clone(), session.clone(), *digest);
        self.to_the_end(async move { this.finish(&permit, &session, &digest, range, body).await })
            .await
    }

    /// Runs work that must not be left in the middle when a connection goes.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks
            .spawn(work)
            .await
            .map_err(|error| interrupted("write", error))?
    }

    async fn append(
        &self,
        permit: &PushPermit,
        session: &Session,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<u64> {
        let row = self.row(session).await?;
        let at = row.as_ref().map_or(0, |row| row.size);
        in_order(session, range, at)?;
        let _memory = self.body_memory().await?;
        let mut batches = Batches::new(body);
        let (first, ended) = batches.next().await;
        if first.is_empty() {
            ended.unwrap_or(Ok(()))?;
            right_size(range, 0)?;
            return Ok(at);
        }
        let mut writing = self.take_over(permit, session, range).await?;
        let at = writing.size;
        let received = self
            .receive(session, &mut writing, (first, ended), &mut batches)
            .await;
        let ended = match received {
            Ok(ended) => ended,
            Err(error) => return Err(writing.abandon(error).await),
        };
        if ended.is_ok()
            && let Err(error) = right_size(range, writing.size - at)
        {
            return Err(writing.abandon(error).await);
        }
        if let Err(error) = self.checkpoint(session, &mut writing).await {
            return Err(writing.abandon(error).await);
        }
        ended?;
        Ok(writing.size)
    }

    async fn finish(
        &self,
        permit: &PushPermit,
        session: &Session,
        digest: &Digest,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<StoredBlob> {
        let row = self.row(session).await?;
        in_order(session, range, row.as_ref().map_or(0, |row| row.size))?;
        let _memory = self.body_memory().await?;
        let mut batches = Batches::new(body);
        let (first, ended) = batches.next().await;
        let (object, finished) = match (row, ended) {
            (Some(_), Some(Ok(()))) if first.is_empty() => {
                right_size(range, 0)?;
                self.finish_as_stored(session, range).await?
            }
            (None, Some(Ok(()))) => {
                right_size(range, first.iter().map(|bytes| bytes.len() as u64).sum())?;
                self.finish_in_one(session, first).await?
            }
            (_, ended) => {
                let writing = self.take_over(permit, session, range).await?;
                self.finish_received(session, writing, range, (first, ended), batches)
                    .await?
            }
        };
        self.commit(permit, session, digest, object, finished).await
    }

    /// The last bytes come with this request, after others or as the only ones.
    async fn finish_received(
        &self,
        session: &Session,
        mut writing: Writing,
        range: Option<ContentRange>,
        first: (Vec<Bytes>, Option<Result<(), crate::BodyError>>),
        mut batches: Batches,
    ) -> Result<(Object, Finished)> {
        let at = writing.size;
        let received = self
            .receive(session, &mut writing, first, &mut batches)
            .await;
        match received {
            Err(error) => return Err(writing.abandon(error).await),
            Ok(Err(error)) => {
                let kept = self.checkpoint(session, &mut writing).await;
                return Err(writing.abandon(kept.err().unwrap_or(error.into())).await);
            }
            Ok(Ok(())) => {}
        }
        if let Err(error) = right_size(range, writing.size - at) {
            return Err(writing.abandon(error).await);
        }
        let finished = writing.writer.finish(Vec::new()).await?;
        Ok((
            Object {
                key: writing.key,
                epoch: writing.epoch,
                _turn: Some(writing.turn),
            },
            finished,
        ))
    }

    /// All bytes came with earlier requests and are durable.
    async fn finish_as_stored(
        &self,
        session: &Session,
        range: Option<ContentRange>,
    ) -> Result<(Object, Finished)> {
        let turn = self.turns.take(session.id()).await;
        let row = self.row(session).await?.ok_or(Error::UploadUnknown)?;
        in_order(session, range, row.size)?;
        let key = row.key.ok_or(Error::UploadUnknown)?;
        let hasher = hasher(session, row.hash_state.as_deref())?;
        let finished = Finished {
            size: row.size,
            digest: hasher.finish(),
        };
        Ok((
            Object {
                key,
                epoch: Some(row.epoch),
                _turn: Some(turn),
            },
            finished,
        ))
    }

    /// All bytes came with this request and are few: the session never gets a row.
    async fn finish_in_one(
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
                _turn: None,
            },
            finished,
        ))
    }

    fn new_key(&self) -> String {
        key::new(self.clock.now(), self.process, auth::random())
    }

    /// Becomes the session's only writer.
    async fn take_over(
        &self,
        permit: &PushPermit,
        session: &Session,
        range: Option<ContentRange>,
    ) -> Result<Writing> {
        let turn = self.turns.take(session.id()).await;
        let row = self.row(session).await?;
        // It may have gone on while the first bytes came.
        in_order(session, range, row.as_ref().map_or(0, |row| row.size))?;
        match row {
            Some(_) => self.resume(session, turn).await,
            None => self.begin(permit, session, turn).await,
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

    async fn begin(&self, permit: &PushPermit, session: &Session, turn: Turn) -> Result<Writing> {
        let (id, now) = (session.id().to_owned(), self.clock.now());
        let expires_at = now.plus(self.limits.upload_expiry);
        let key = self.new_key();
        let (name, account) = (permit.repository().clone(), account(permit));
        let row_key = key.clone();
        let begun = self.db.write(move |tx| {
            Box::pin(async move {
                upload::begin(tx, &id, (&name, account), &row_key, now, expires_at).await
            })
        });
        if !begun.await? {
            return Err(Error::UploadUnknown);
        }
        let writer = self
            .store
            .create(&key, Hasher::new(session.algorithm()))
            .await?;
        Ok(Writing {
            writer,
            turn,
            key,
            epoch: Some(1),
            size: 0,
        })
    }

    /// Writes a body to its end; how it ended.
    async fn receive(
        &self,
        session: &Session,
        writing: &mut Writing,
        first: (Vec<Bytes>, Option<Result<(), crate::BodyError>>),
        batches: &mut Batches,
    ) -> Result<Result<(), crate::BodyError>> {
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
                self.checkpoint(session, writing).await?;
                since_checkpoint = 0;
            }
            (batch, ended) = tokio::select! {
                next = batches.next() => next,
                () = writing.turn.stopped() => return Err(Error::TakenOver),
            };
        }
    }

    /// Makes all bytes durable, then says so in the row.
    async fn checkpoint(&self, session: &Session, writing: &mut Writing) -> Result<()> {
        let Some(epoch) = writing.epoch else {
            return Ok(());
        };
        let checkpoint = writing.writer.checkpoint().await?;
        let (id, size, state) = (
            session.id().to_owned(),
            checkpoint.size,
            checkpoint.hasher.state(),
        );
        let expires_at = self.clock.now().plus(self.limits.upload_expiry);
        let noted = self.db.write(move |tx| {
            Box::pin(
                async move { upload::checkpoint(tx, (&id, epoch), size, &state, expires_at).await },
            )
        });
        if noted.await? {
            Ok(())
        } else {
            Err(Error::UploadUnknown)
        }
    }

    /// Bytes are durable: now the blob may exist.
    async fn commit(
        &self,
        permit: &PushPermit,
        session: &Session,
        stated: &Digest,
        object: Object,
        finished: Finished,
    ) -> Result<StoredBlob> {
        let Object { key, epoch, _turn } = object;
        let actual = self.digest_as(stated.algorithm(), &key, finished).await?;
        if actual != *stated {
            self.close(permit, session).await?;
            self.discard(&key).await;
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
        let (now, object_key) = (self.clock.now(), key.clone());
        let lease = now.plus(self.limits.grace);
        let committed = self.db.write(move |tx| {
            Box::pin(async move {
                if let Some(epoch) = epoch
                    && !upload::close(tx, (&id, epoch)).await?
                {
                    return Err(Error::UploadUnknown);
                }
                let repository = repository::ensure(tx, project, &name, now).await?;
                let row = blob::commit(tx, &actual, &object_key, finished.size, now).await?;
                blob::link(tx, (repository, &name), &row, lease).await?;
                Ok::<_, Error>(row)
            })
        });
        let row = committed.await?;
        if row.key != key {
            self.discard(&key).await;
        }
        Ok(row)
    }

    /// The digest by another algorithm than the one that ran along: one more reading.
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
            hasher = hashed.await.map_err(|error| interrupted("hash", error))?;
        }
        Ok(hasher.finish())
    }

    /// Ends a session; its id stays dead.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] where it was over before.
    pub async fn cancel_upload(&self, permit: &PushPermit, session: &Session) -> Result<()> {
        let _turn = self.turns.take(session.id()).await;
        self.close(permit, session).await
    }

    async fn close(&self, permit: &PushPermit, session: &Session) -> Result<()> {
        let row = self.row(session).await?;
        let (id, name, account) = (
            session.id().to_owned(),
            permit.repository().clone(),
            account(permit),
        );
        let now = self.clock.now();
        let expires_at = session.started().max(now).plus(self.limits.upload_expiry);
        let cancelled = self.db.write(move |tx| {
            Box::pin(
                async move { upload::cancel(tx, &id, (&name, account), now, expires_at).await },
            )
        });
        cancelled.await?;
        if let Some(key) = row.and_then(|row| row.key) {
            self.discard(&key).await;
        }
        Ok(())
    }

    /// Deletes an object that no row names. Where that fails, the sweeper finds it.
    async fn discard(&self, key: &str) {
        if let Err(error) = self.store.delete(key).await {
            tracing::warn!(object.key = key, %error, "cannot discard an object; the sweeper will");
        }
    }

    /// Ends sessions whose time is over and deletes their bytes; how many it were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_uploads(&self) -> Result<usize> {
        const TURN: i64 = 100;
        let now = self.clock.now();
        let mut tx = self.db.reader().await?;
        let expired = upload::expired(&mut tx, now, TURN).await?;
        drop(tx);
        let mut ended = 0;
        for row in expired {
            let id = row.id.clone();
            let gone = self.db.write(move |tx| {
                Box::pin(async move { upload::forget_expired(tx, &id, now).await })
            });
            if gone.await? {
                ended += 1;
                if let Some(key) = row.key {
                    self.discard(&key).await;
                }
            }
        }
        Ok(ended)
    }

    /// How long an idle session is kept.
    pub fn upload_expiry(&self) -> Duration {
        self.limits.upload_expiry
    }
}

fn interrupted(action: &'static str, error: tokio::task::JoinError) -> Error {
    let source = std::io::Error::other(error);
    Error::Storage(storage::Error::Failed {
        action,
        key: "upload".to_owned(),
        source,
    })
}

fn account(permit: &PushPermit) -> AccountId {
    permit.caller().account().unwrap_or(AccountId(0))
}

fn hasher(session: &Session, state: Option<&[u8]>) -> Result<Hasher> {
    match state {
        None => Ok(Hasher::new(session.algorithm())),
        Some(state) => Hasher::from_state(state).ok_or(Error::Database(db::Error::Corrupt {
            table: "upload",
            column: "hash_state",
        })),
    }
}

fn in_order(session: &Session, range: Option<ContentRange>, at: u64) -> Result<()> {
    match range {
        Some(range) if range.first != at => Err(Error::ChunkOutOfOrder {
            session: session.id().to_owned(),
            expected: at,
        }),
        _ => Ok(()),
    }
}

fn right_size(range: Option<ContentRange>, actual: u64) -> Result<()> {
    match range {
        Some(range) if range.length() != actual => Err(Error::SizeMismatch {
            stated: range.length(),
            actual,
        }),
        _ => Ok(()),
    }
}
