//! Writing an object: bytes are hashed as they arrive and collected into parts, and each full part is sent while the
//! next one is collected.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use model::Hasher;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::S3;
use super::bucket::refused;
use super::hashing::Hashing;
use super::part::{self, Pieces, length, take_front};
use super::reader::Reader;
use super::state::{Part, State, Tail, is_worth_telling};
use super::tail;
use crate::budget::{Holder, Reservation};
use crate::{BlobWriter, Checkpoint, Error, Finished, Result};

/// Concurrent part uploads per object.
const IN_FLIGHT: usize = 2;
/// Bytes of a part covered by the caller's memory.
const COVERED: u64 = 1 << 20;
/// Number of tails kept: one for each checkpoint that can be resumed.
const TAILS: usize = 2;
/// How long an abandoned object waits for its running part uploads.
const PATIENCE: Duration = Duration::from_secs(5);

/// An object that is being written.
pub(super) struct Writer {
    store: S3,
    key: String,
    /// The holder of its parts' memory.
    holder: Holder,
    hashing: Hashing,
    /// Bytes handed over so far.
    size: u64,
    /// The multipart upload; `None` before the first part or checkpoint.
    upload: Option<Arc<str>>,
    /// Parts that were uploaded, in order.
    parts: Vec<Part>,
    /// Bytes in them.
    durable: u64,
    /// The hash of those bytes, if the caller does not know of them yet.
    reached: Option<Hasher>,
    /// Parts in the last reported checkpoint.
    told: usize,
    sending: VecDeque<Sending>,
    /// Number of the part being collected.
    number: u16,
    collected: Collected,
    /// The tail that has the collected bytes, or the first of them.
    tail: Option<Tail>,
    /// Names of existing tails, newest last.
    tails: Vec<String>,
    strays: bool,
}

/// The part being collected.
#[derive(Default)]
struct Collected {
    pieces: Pieces,
    room: Option<Reservation>,
}

/// A part being uploaded.
struct Sending {
    /// Its end in the object, and the hash up to there.
    end: u64,
    hasher: Hasher,
    task: AbortOnDropHandle<Result<Part>>,
}

impl Writer {
    pub(super) fn create(store: &S3, key: &str, hasher: Hasher) -> Self {
        Self {
            store: store.clone(),
            key: key.to_owned(),
            holder: Holder::default(),
            hashing: Hashing::Idle(hasher),
            size: 0,
            upload: None,
            parts: Vec::new(),
            durable: 0,
            reached: None,
            told: 0,
            sending: VecDeque::new(),
            number: 1,
            collected: Collected::default(),
            tail: None,
            tails: Vec::new(),
            strays: false,
        }
    }

    /// Resumes at a checkpoint: its tail is read back.
    pub(super) async fn resume(
        store: &S3,
        key: &str,
        state: State,
        hasher: Hasher,
    ) -> Result<Self> {
        let mut writer = Self::create(store, key, hasher);
        writer.size = state.end();
        writer.number = state.next_number(&store.instance);
        // The resumed object may have had a later, unknown checkpoint.
        writer.strays = true;
        match state.tail.filter(|tail| tail.size > 0) {
            Some(tail) => writer.read_tail(&tail).await?,
            None => store.bucket.must_have(key, &state.upload).await?,
        }
        writer.upload = Some(state.upload.into());
        writer.told = state.parts.len();
        writer.parts = state.parts;
        writer.durable = state.size;
        writer.tails = state.tails;
        Ok(writer)
    }

    async fn read_tail(&mut self, tail: &Tail) -> Result<()> {
        self.make_room(tail.size).await?;
        let bucket = &self.store.bucket;
        let (name, all) = (tail::key(&self.key, &tail.name), 0..tail.size);
        let body = bucket.get(&name, all.clone()).await;
        let body = body.map_err(|error| self.of_object(error))?;
        let read = Reader::new(bucket, &name, all, body).try_collect().await;
        let read: Vec<Bytes> = read.map_err(|error| self.of_object(error))?;
        self.collected.pieces.append(read);
        Ok(())
    }

    /// Turns an error about a tail into one about its object.
    fn of_object(&self, error: Error) -> Error {
        match error {
            Error::Missing(_) => Error::Missing(self.key.clone()),
            Error::Truncated(_) => Error::Truncated(self.key.clone()),
            error => error,
        }
    }

    /// Takes memory for the whole part before it holds more than the caller's memory covers.
    async fn make_room(&mut self, more: u64) -> Result<()> {
        let held = self.collected.pieces.size() + more;
        if held > COVERED && self.collected.room.is_none() {
            let size = part::size(self.number).max(held);
            let taking = self.store.room.take(&self.key, self.holder, size);
            self.collected.room = Some(taking.await?);
        }
        Ok(())
    }

    /// Accepts bytes; full parts are sent.
    async fn take_in(&mut self, batch: Vec<Bytes>) -> Result<()> {
        let mut batch = VecDeque::from(batch);
        loop {
            let size = part::size(self.number);
            let wanted = size.saturating_sub(self.collected.pieces.size());
            self.collect(take_front(&mut batch, wanted)).await?;
            if self.collected.pieces.size() < size {
                return Ok(());
            }
            self.send().await?;
        }
    }

    async fn collect(&mut self, batch: Vec<Bytes>) -> Result<()> {
        let length = length(&batch);
        if length == 0 {
            return Ok(());
        }
        self.make_room(length).await?;
        self.hashing.update(&self.key, batch.clone()).await?;
        self.collected.pieces.append(batch);
        self.size += length;
        Ok(())
    }

    /// Sends the collected bytes as a part.
    async fn send(&mut self) -> Result<()> {
        let number = self.free_number()?;
        let upload = self.upload().await?;
        let hasher = self.hashing.state(&self.key).await?;
        while self.sending.len() >= IN_FLIGHT {
            self.settle_one().await?;
        }
        let Collected { pieces, room } = std::mem::take(&mut self.collected);
        let (bucket, key) = (self.store.bucket.clone(), self.key.clone());
        let sending = async move {
            let part = bucket.part(&key, &upload, number, pieces).await;
            drop(room);
            part
        };
        let task = tokio::spawn(sending.in_current_span());
        self.sending.push_back(Sending {
            end: self.size,
            hasher,
            task: AbortOnDropHandle::new(task),
        });
        self.number += 1;
        self.tail = None;
        Ok(())
    }

    /// The number of the part being collected, if S3 allows one more.
    fn free_number(&self) -> Result<u16> {
        if self.number > part::LAST {
            return Err(Error::TooLarge(self.key.clone(), part::LARGEST));
        }
        Ok(self.number)
    }

    /// The multipart upload, started if there is none.
    async fn upload(&mut self) -> Result<Arc<str>> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        let upload: Arc<str> = self.store.bucket.begin(&self.key).await?.into();
        self.upload = Some(upload.clone());
        Ok(upload)
    }

    /// Waits for the oldest running part upload.
    async fn settle_one(&mut self) -> Result<()> {
        let Some(first) = self.sending.front_mut() else {
            return Ok(());
        };
        let sent = (&mut first.task).await;
        let sent = sent.unwrap_or_else(|error| Err(refused("write", &self.key, error)));
        let first = self.sending.pop_front();
        match (sent, first) {
            (Ok(part), Some(Sending { end, hasher, .. })) => {
                self.parts.push(part);
                self.durable = end;
                self.reached = Some(hasher);
                Ok(())
            }
            (sent, _) => {
                // Parts after a missing one are useless.
                self.sending.clear();
                self.hashing = Hashing::Lost;
                sent.map(|_| ())
            }
        }
    }

    async fn settle(&mut self) -> Result<()> {
        while !self.sending.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    /// Uploads the collected bytes as a tail, unless a tail has them already.
    async fn keep_tail(&mut self) -> Result<()> {
        let size = self.collected.pieces.size();
        if self.tail.as_ref().is_some_and(|tail| tail.size == size) {
            return Ok(());
        }
        let number = self.free_number()?;
        let upload = self.upload().await?;
        let name = tail::random()?;
        let (bucket, pieces) = (&self.store.bucket, &self.collected.pieces);
        let object = tail::key(&self.key, &name);
        // Recorded before it exists, so that it is removed in any case.
        self.tails.push(name.clone());
        let (part, ()) = tokio::try_join!(
            bucket.part(&self.key, &upload, number, pieces.clone()),
            bucket.put(&object, pieces.clone()),
        )?;
        self.tail = Some(Tail { name, size, part });
        let old = self.tails.len().saturating_sub(TAILS);
        let old: Vec<String> = self.tails.drain(..old).collect();
        bucket.remove_tails(&self.key, &old).await;
        Ok(())
    }

    /// A checkpoint at the end of the parts, or of the tail.
    fn tell(&mut self, hasher: Hasher, upload: &str, tail: Option<Tail>) -> Checkpoint {
        self.told = self.parts.len();
        let state = State {
            version: State::version(),
            instance: self.store.instance.to_string(),
            upload: upload.to_owned(),
            parts: self.parts.clone(),
            size: self.durable,
            tail,
            tails: self.tails.clone(),
            strays: self.strays,
        };
        Checkpoint {
            size: state.end(),
            hasher,
            state: Some(state.text()),
        }
    }

    /// Completes the multipart upload.
    async fn complete(&mut self, upload: &str) -> Result<()> {
        if self.collected.pieces.size() > 0 || (self.parts.is_empty() && self.sending.is_empty()) {
            self.send().await?;
        }
        self.settle().await?;
        let (bucket, parts) = (&self.store.bucket, self.parts.clone());
        bucket.end(&self.key, upload, parts, self.size).await?;
        let (tails, strays) = (&self.tails, self.strays);
        bucket.clear_tails(&self.key, tails, strays).await;
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for Writer {
    fn write_for(&mut self, holder: Holder) {
        self.holder = holder;
        if let Some(room) = &mut self.collected.room {
            room.pass_to(holder);
        }
    }

    async fn write(&mut self, batch: Vec<Bytes>) -> Result<Option<Checkpoint>> {
        self.take_in(batch).await?;
        while self
            .sending
            .front()
            .is_some_and(|part| part.task.is_finished())
        {
            self.settle_one().await?;
        }
        let Some(upload) = self.upload.clone() else {
            return Ok(None);
        };
        if !is_worth_telling(self.parts.len(), self.told) {
            return Ok(None);
        }
        let reached = self.reached.take();
        Ok(reached.map(|hasher| self.tell(hasher, &upload, None)))
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let hasher = self.hashing.state(&self.key).await?;
        let upload = self.upload().await?;
        self.settle().await?;
        self.reached = None;
        if self.collected.pieces.size() > 0 || self.parts.is_empty() {
            self.keep_tail().await?;
        }
        Ok(self.tell(hasher, &upload, self.tail.clone()))
    }

    async fn abandon(mut self: Box<Self>) {
        // An interrupted request may still be executed: it is better to wait for its end.
        let patience = Instant::now() + PATIENCE;
        for Sending { mut task, .. } in self.sending.drain(..) {
            if tokio::time::timeout_at(patience, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
    }

    async fn finish(mut self: Box<Self>, last: Vec<Bytes>) -> Result<Finished> {
        self.take_in(last).await?;
        let hasher = self.hashing.state(&self.key).await?;
        match self.upload.clone() {
            Some(upload) => self.complete(&upload).await?,
            None => {
                let pieces = std::mem::take(&mut self.collected.pieces);
                self.store.bucket.put(&self.key, pieces).await?;
            }
        }
        Ok(Finished {
            size: self.size,
            digest: hasher.finish(),
        })
    }
}

#[cfg(test)]
mod tests {
    use model::Algorithm;

    use super::*;
    use crate::s3::Settings;

    /// A writer that has used so many part numbers, in a bucket that nobody asks.
    fn writer(used: u16) -> Writer {
        let settings = Settings {
            endpoint: "http://127.0.0.1:1".to_owned(),
            bucket: "bucket".to_owned(),
            ..Settings::default()
        };
        let store = S3::open(&settings).unwrap();
        let mut writer = Writer::create(&store, "1/a", Hasher::new(Algorithm::Sha256));
        writer.number = used + 1;
        writer
    }

    #[tokio::test]
    async fn beyond_the_last_part_the_largest_size_is_named() {
        assert_eq!(writer(part::LAST - 1).free_number().unwrap(), part::LAST);
        let mut full = writer(part::LAST);
        full.collect(vec![Bytes::from_static(b"more")])
            .await
            .unwrap();
        for refused in [full.send().await, full.keep_tail().await] {
            let error = refused.unwrap_err();
            assert!(matches!(&error, Error::TooLarge(_, most) if *most == part::LARGEST));
            assert!(error.to_string().contains("at most 273 GiB"), "{error}");
        }
    }
}
