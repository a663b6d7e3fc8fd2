//! Objects in an S3-compatible bucket: `<prefix>/<hour>/<process><random>`.
//!
//! An object larger than one part is a multipart upload. An unfinished object is such an upload and, if a checkpoint
//! left fewer bytes than a part, a *tail*: a small object `<key>.<random>` that holds them, because parts cannot be
//! read back.
//!
//! Every writer completes the one upload that the object's checkpoints name, and that succeeds once: a superseded
//! writer cannot overwrite the object.

mod bucket;
mod client;
mod download;
mod error;
mod hashing;
mod listing;
mod part;
mod reader;
mod room;
mod settings;
mod state;
mod tail;
mod writer;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use model::Hasher;

pub use settings::{SecretKey, Settings, Sse};

use crate::s3::bucket::Bucket;
use crate::s3::reader::Reader;
use crate::s3::room::Room;
use crate::s3::state::State;
use crate::s3::writer::Writer;
use crate::{
    BlobStore, BlobWriter, Checkpoint, Chunks, Error, Existing, Finished, Identity, NotDeleted,
    PROBE, Result, Walk, identity,
};

/// A store in a bucket.
#[derive(Clone, Debug)]
pub struct S3 {
    bucket: Arc<Bucket>,
    /// Memory for parts on their way to the bucket, for all writers together.
    room: Room,
    /// Identifies this process in checkpoints.
    instance: Arc<str>,
}

impl S3 {
    /// A store in a bucket. Does not contact the bucket.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting is invalid.
    pub fn open(settings: &Settings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            bucket: Arc::new(Bucket::open(settings)?),
            room: Room::new(settings.memory_mib),
            instance: tail::random()?.into(),
        })
    }

    /// Checks the bucket by listing one object.
    ///
    /// # Errors
    /// [`Error::Bucket`] if it cannot be used, [`Error::Unavailable`] if it does not answer.
    pub async fn probe(&self) -> Result<()> {
        self.bucket.probe().await
    }

    /// The state of a checkpoint's object.
    fn state(key: &str, at: &Checkpoint) -> Result<State> {
        // Without a checkpoint, nothing is known to exist.
        let text = at.state.as_deref();
        let text = text.ok_or_else(|| Error::Missing(key.to_owned()))?;
        let state = State::parse(key, text)?;
        if state.end() == at.size {
            Ok(state)
        } else {
            Err(Error::Truncated(key.to_owned()))
        }
    }
}

#[async_trait]
impl BlobStore for S3 {
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(Writer::create(self, key, hasher)))
    }

    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>> {
        let state = Self::state(key, &at)?;
        Ok(Box::new(Writer::resume(self, key, state, at.hasher).await?))
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()> {
        let state = Self::state(key, &at)?;
        let (parts, size) = (state.all_parts(), state.end());
        match self.bucket.end(key, &state.upload, parts, size).await {
            // A part with the tail's number was written since: the tail still has the bytes.
            Err(Error::Truncated(_)) if state.tail.is_some() => {
                let writer = self.resume(key, at).await?;
                writer.finish(Vec::new()).await.map(|_| ())
            }
            Err(error) => Err(error),
            Ok(()) => {
                let strays = state.may_have_strays(&self.instance);
                self.bucket.clear_tails(key, &state.tails, strays).await;
                Ok(())
            }
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        if range.is_empty() {
            return match self.bucket.head(key).await? {
                Some(_) => Ok(Box::pin(stream::empty())),
                None => Err(Error::Missing(key.to_owned())),
            };
        }
        let body = self.bucket.get(key, range.clone()).await?;
        Ok(Box::pin(Reader::new(&self.bucket, key, range, body)))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.bucket.head(key).await?.map(|head| head.size))
    }

    async fn sync(&self, key: &str) -> Result<()> {
        // What the server acknowledged is durable.
        match self.bucket.head(key).await? {
            Some(_) => Ok(()),
            None => Err(Error::Missing(key.to_owned())),
        }
    }

    async fn detach(&self, _key: &str, finished: Finished) -> Result<Finished> {
        // An object is completed once, from parts named by number and ETag: it cannot change afterwards, and contains
        // no parts of another writer.
        Ok(finished)
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        self.bucket.delete(keys).await
    }

    async fn discard(&self, key: &str) -> Result<()> {
        self.bucket.discard(key).await
    }

    fn leftovers(&self) -> Vec<String> {
        std::mem::take(&mut *self.bucket.leftovers.lock())
    }

    fn return_leftovers(&self, keys: &[String]) {
        for key in keys {
            self.bucket.remember(key.clone());
        }
    }

    async fn walk(&self, folder: &str) -> Result<Walk> {
        let below = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        Ok(Bucket::walk(self.bucket.clone(), below))
    }

    async fn hours(&self) -> Result<Vec<i64>> {
        self.bucket.hours().await
    }

    async fn list(&self, hour: i64) -> Result<Vec<String>> {
        self.bucket.list(hour).await
    }

    async fn forget_hour(&self, hour: i64) -> Result<()> {
        self.bucket.forget_hour(hour).await
    }

    async fn identity(&self) -> Result<Option<Identity>> {
        let text = self
            .bucket
            .get_small(identity::KEY, identity::LONGEST)
            .await?;
        text.map(|text| Identity::parse(&text)).transpose()
    }

    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity> {
        // Not every server supports conditions: an existing identity is looked for first, and the result read back.
        if existing == Existing::Kept
            && let Some(there) = self.identity().await?
        {
            return Ok(there);
        }
        let put = self
            .bucket
            .put_small(identity::KEY, identity.text(), existing);
        put.await?;
        let stands = self.identity().await?;
        stands.ok_or_else(|| Error::Missing(identity::KEY.to_owned()))
    }

    async fn try_write(&self) -> Result<()> {
        let key = format!("{PROBE}{}", self.instance);
        let put = self
            .bucket
            .put_small(&key, b"probe".to_vec(), Existing::Replaced);
        put.await?;
        self.bucket.delete_one(&key).await
    }

    async fn presigned(&self, key: &str, lasts: Duration) -> Result<Option<String>> {
        self.bucket.presigned(key, lasts).await.map(Some)
    }
}
