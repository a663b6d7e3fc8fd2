//! Blob bytes: the store's contract and its backends. Keys are opaque here; only the database knows what the bytes
//! mean.

pub mod budget;
pub mod conformance;
pub mod content;
pub mod files;
pub mod health;
pub mod identity;
pub mod key;
pub mod memory;
pub mod moving;
pub mod s3;

use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use model::{Digest, Hasher};

use crate::budget::Holder;

pub use files::Files;
pub use identity::{Existing, Identity};
pub use memory::Memory;
pub use moving::Moving;
pub use s3::S3;

/// Why bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No object has this key.
    #[error("no object {0}")]
    Missing(String),
    /// The object is shorter than the database says.
    #[error("object {0} is shorter than it was")]
    Truncated(String),
    /// The disk is full.
    #[error("the disk is full")]
    Full(#[source] std::io::Error),
    /// The object would exceed the store's maximum size, in bytes.
    #[error("cannot write object {0}: an object has at most {limit} GiB", limit = .1 >> 30)]
    TooLarge(String, u64),
    /// Bytes may not be on disk: they must be sent again.
    #[error("cannot make object {0} durable")]
    NotDurable(String, #[source] std::io::Error),
    /// The folder of the store cannot be opened.
    #[error("[storage] path: cannot use the folder {}: name one that the user who runs this may read and write", .0.display())]
    Unusable(std::path::PathBuf, #[source] std::io::Error),
    /// Reading or writing failed.
    #[error("cannot {action} object {key}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On which object.
        key: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The store could not be reached or could not answer: a retry may succeed.
    #[error("the store is not available to {action} object {key}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// On which object.
        key: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// No memory became free for bytes on their way to the store.
    #[error("no memory became free within {1:?} to write object {0}")]
    Busy(String, Duration),
    /// The bucket cannot be used.
    #[error("cannot use bucket {bucket}: {reason}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What the store answered.
        #[source]
        source: Cause,
    },
    /// A setting cannot be used.
    #[error("cannot use the storage setting {name}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
}

/// The cause of an error of a store on the network.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// Why an identity that was read cannot be understood, if that is what failed.
    pub fn unreadable_identity(&self) -> Option<&std::io::Error> {
        match self {
            Self::Failed { key, source, .. }
                if key == identity::KEY && source.kind() == std::io::ErrorKind::InvalidData =>
            {
                Some(source)
            }
            _ => None,
        }
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Keys and sizes of objects, in no particular order.
pub type Walk = Pin<Box<dyn Stream<Item = Result<(String, u64)>> + Send>>;

/// Bytes of a blob, in order. It ends early only with an error.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + Sync>>;

/// Maximum number of batches that a writer buffers, so that neither side idles when the other slows down.
pub const AHEAD: usize = 3;

/// A key whose object could not be deleted, and why.
pub type NotDeleted = (String, Error);

/// Name prefix of the objects that [`BlobStore::try_write`] writes.
pub(crate) const PROBE: &str = "gantry-probe-";

/// Where blob bytes are kept.
///
/// Keys are made by [`key::new`] and used once: `create` is called once per key, by one process. An object is written
/// by one writer at a time, and read only after it was finished or sealed. Only what the methods say is atomic; a crash
/// may leave any prefix of an unfinished object.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Starts an object. It need not exist in the store before the first write.
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>>;

    /// Resumes an object at a checkpoint: later bytes are discarded. The two newest checkpoints made by
    /// [`BlobWriter::checkpoint`] can be resumed.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] if the checkpoint's bytes are not there.
    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>>;

    /// Completes an object at a checkpoint, durably: later bytes are discarded. Repeating this is not an error.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] if the checkpoint's bytes are not there.
    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()>;

    /// The bytes of a finished object within `range`.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none; one that is too short fails while it is read.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks>;

    /// The size of a finished object; `None` if there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;

    /// Makes a finished object durable, whoever wrote it.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::NotDurable`] if that fails.
    async fn sync(&self, key: &str) -> Result<()>;

    /// Protects an object that this process has finished from writers of other processes that do not know yet that
    /// their session was taken over. Returns the object as it is from now on: if such a writer changed it before, its
    /// digest differs from that of `finished`.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] if the object does not exist, or is shorter.
    async fn detach(&self, key: &str, finished: Finished) -> Result<Finished>;

    /// Removes finished objects, and returns those that could not be removed, so that one locked or forbidden object
    /// does not block others. A missing object is not an error.
    ///
    /// # Errors
    /// When the store does not answer; then the state of all of them is unknown.
    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>>;

    /// Removes everything of an unfinished object, whoever started it. It is not an error if there is nothing.
    async fn discard(&self, key: &str) -> Result<()>;

    /// Keys of leftovers that could not be removed earlier, such as parts of a completed object. Each is returned once;
    /// the caller discards it when no row needs it.
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Puts back leftovers that the caller could not record: the next call returns them again.
    fn return_leftovers(&self, _keys: &[String]) {}

    /// The hours (since 1970) in which existing objects were started, finished or not. An hour may also have only
    /// foreign objects.
    async fn hours(&self) -> Result<Vec<i64>>;

    /// Keys of Gantry's own objects ([`key::is_own`]) started in an hour, finished or not, each once. Foreign objects
    /// are never listed.
    async fn list(&self, hour: i64) -> Result<Vec<String>>;

    /// Keys and sizes of all finished objects below a folder, foreign ones included; of the whole store if `folder` is
    /// empty.
    async fn walk(&self, folder: &str) -> Result<Walk>;

    /// Removes what an hour without objects may have left, such as an empty folder. A folder that is not empty is kept.
    async fn forget_hour(&self, hour: i64) -> Result<()>;

    /// The store's identity; `None` if it has none.
    ///
    /// # Errors
    /// When the store cannot be read, or its identity is malformed.
    async fn identity(&self) -> Result<Option<Identity>>;

    /// Gives the store an identity, durably, and returns the one in effect: if several processes give an identity to a
    /// store without one, all get the first one's.
    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity>;

    /// Writes a small object and deletes it again.
    ///
    /// # Errors
    /// Why the store cannot be written.
    async fn try_write(&self) -> Result<()>;

    /// A URL at which a client can read the object directly from the store until it expires; `None` if the store has no
    /// URLs. Does not check that the object exists.
    async fn presigned(&self, key: &str, lasts: Duration) -> Result<Option<String>> {
        let _ = (key, lasts);
        Ok(None)
    }
}

/// An object that is being written.
#[async_trait]
pub trait BlobWriter: Send {
    /// Sets for whom the bytes are written, for stores that share their own memory among clients.
    fn write_for(&mut self, holder: Holder) {
        let _ = holder;
    }

    /// Accepts bytes, which are hashed and written in the background while the next ones are collected. At most
    /// [`AHEAD`] batches are buffered. An error may be returned by a later call.
    ///
    /// Returns the newest checkpoint reached meanwhile, if any.
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<Option<Checkpoint>>;

    /// Makes all bytes durable.
    async fn checkpoint(&mut self) -> Result<Checkpoint>;

    /// Stops writing: once this returns, no accepted bytes are written any more. Written bytes stay, and can be
    /// resumed.
    async fn abandon(self: Box<Self>);

    /// Writes the last bytes, makes everything durable, and completes the object.
    async fn finish(self: Box<Self>, last: Vec<Bytes>) -> Result<Finished>;
}

/// A durable prefix of an object.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its length in bytes.
    pub size: u64,
    /// The running hash of these bytes.
    pub hasher: Hasher,
    /// The store's own state for resuming, to be kept unchanged with the session.
    pub state: Option<Vec<u8>>,
}

/// An object that is complete and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}
