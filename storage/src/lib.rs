//! Blob bytes: the store's contract and its backends. What the bytes mean is known to the database
//! alone; here they have opaque keys.

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
    /// The object would be larger than the store takes: this many bytes.
    #[error("cannot write object {0}: an object has at most {limit} GiB", limit = .1 >> 30)]
    TooLarge(String, u64),
    /// Bytes may not have reached the disk: they must be sent again.
    #[error("cannot make object {0} durable")]
    NotDurable(String, #[source] std::io::Error),
    /// The folder of the store cannot be had.
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
    /// The store could not be reached, or could not answer now: the same may succeed later.
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
    /// The bucket cannot be used as things are.
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

/// What is behind an error of a store on the network.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Keys and sizes of objects, in no order.
pub type Walk = Pin<Box<dyn Stream<Item = Result<(String, u64)>> + Send>>;

/// Bytes of a blob, in order. It ends early only with an error.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + Sync>>;

/// Batches that a writer holds at most: neither side idles when the other falters.
pub const AHEAD: usize = 3;

/// A key whose object could not be deleted, and why.
pub type NotDeleted = (String, Error);

/// Names of the objects that [`BlobStore::try_write`] writes begin with this.
pub(crate) const PROBE: &str = "gantry-probe-";

/// Where blob bytes are kept.
///
/// Keys are chosen by [`key::new`] and used once: `create` is called once in a key's life, by one
/// process. An object is written by one writer at a time, and read only after it was finished or sealed.
/// Nothing is atomic but what the methods say; a crash may leave any prefix of an object that was not
/// finished.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Starts an object. Nothing need be there before the first write.
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>>;

    /// Goes on with an object at a checkpoint: what lies behind it is forgotten. Of an object's
    /// checkpoints that [`BlobWriter::checkpoint`] made, the two newest can be resumed.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] where the checkpoint's bytes are not there.
    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>>;

    /// Makes an object whole that ends at a checkpoint, durably; what lies behind it is forgotten. To
    /// do it again is no error.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] where the checkpoint's bytes are not there.
    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()>;

    /// The bytes of a finished object within `range`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none; one that is too short fails while it is read.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks>;

    /// The size of a finished object; `None` where there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;

    /// Makes a finished object durable, whoever wrote it.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::NotDurable`] where that cannot be had.
    async fn sync(&self, key: &str) -> Result<()>;

    /// Keeps writers of other processes, which do not know yet that their session was taken over, from
    /// changing an object that this process has finished. What is returned is what the object is from now on:
    /// where such a writer may have changed it before, its digest is not the one that `finished` says.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] where the object is not there, or is shorter.
    async fn detach(&self, key: &str, finished: Finished) -> Result<Finished>;

    /// Removes finished objects, and answers which could not be removed: each by itself, so that one which
    /// is locked or forbidden holds up no other. Those that are not there are no error.
    ///
    /// # Errors
    /// When the store as a whole does not answer; then nothing is known of any of them.
    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>>;

    /// Removes all that there is of an object that was never finished, whoever started it. Where there
    /// is nothing that is no error.
    async fn discard(&self, key: &str) -> Result<()>;

    /// Keys of what should have been removed on the way and could not be, such as parts of an object that is whole
    /// by now. Each is told once, and is to be discarded when no row needs it.
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Takes leftovers back that could not be noted elsewhere: the next look is told of them.
    fn return_leftovers(&self, _keys: &[String]) {}

    /// The hours (since 1970) in which objects were started that are still there, finished or not. An hour
    /// may also have foreign objects only.
    async fn hours(&self) -> Result<Vec<i64>>;

    /// Keys of Gantry's own objects ([`key::is_own`]) that were started in an hour, finished or not, each
    /// once. What else lies there is never listed.
    async fn list(&self, hour: i64) -> Result<Vec<String>>;

    /// Keys and sizes of all finished objects below a folder, whoever made them; of all that the store has
    /// where the folder is empty.
    async fn walk(&self, folder: &str) -> Result<Walk>;

    /// Gives back what an hour without objects may have left, such as an empty folder. A folder with
    /// anything in it stays.
    async fn forget_hour(&self, hour: i64) -> Result<()>;

    /// The store's identity; `None` where it has none.
    ///
    /// # Errors
    /// When the store cannot be read, or what is there is no identity.
    async fn identity(&self) -> Result<Option<Identity>>;

    /// Gives the store an identity, durably, and returns the one that now stands: of several processes that
    /// give one to a store without any, all get the first one's.
    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity>;

    /// Writes a small object and deletes it again.
    ///
    /// # Errors
    /// Why the store cannot be written.
    async fn try_write(&self) -> Result<()>;

    /// A URL under which a client reads the object from the store directly, for as long as it lasts;
    /// `None` where the store has none. Whether the object is there is not looked at.
    async fn presigned(&self, key: &str, lasts: Duration) -> Result<Option<String>> {
        let _ = (key, lasts);
        Ok(None)
    }
}

/// An object that is being written.
#[async_trait]
pub trait BlobWriter: Send {
    /// Says for whom the bytes are written, where the store shares out memory of its own.
    fn write_for(&mut self, holder: Holder) {
        let _ = holder;
    }

    /// Takes bytes over: they are hashed and written in the background while the next ones are
    /// collected. At most [`AHEAD`] batches are held. An error may come with a later call.
    ///
    /// Returns the newest checkpoint that was reached on the way, if one was.
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<Option<Checkpoint>>;

    /// Makes all bytes durable.
    async fn checkpoint(&mut self) -> Result<Checkpoint>;

    /// Gives the object up: when this returns, nothing that was handed over is written any more. What
    /// was written stays, and can be resumed.
    async fn abandon(self: Box<Self>);

    /// Writes the last bytes, makes all durable, and ends the object.
    async fn finish(self: Box<Self>, last: Vec<Bytes>) -> Result<Finished>;
}

/// Bytes that are durable.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// How many.
    pub size: u64,
    /// Their hash so far.
    pub hasher: Hasher,
    /// What the store needs beyond the bytes to go on, to be kept with the session as it is.
    pub state: Option<Vec<u8>>,
}

/// An object that is complete and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How many bytes it has.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}
