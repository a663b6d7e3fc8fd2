//! Blob bytes: the store's contract and its backends. What the bytes mean is known to the database
//! alone; here they have opaque keys.

pub mod conformance;
pub mod files;
pub mod key;
pub mod memory;

use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use model::{Digest, Hasher};

pub use files::Files;
pub use memory::Memory;

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
    /// Bytes may not have reached the disk: they must be sent again.
    #[error("cannot make object {0} durable")]
    NotDurable(String, #[source] std::io::Error),
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
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes of a blob, in order. It ends early only with an error.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + Sync>>;

/// Batches that a writer holds at most: neither side idles when the other falters.
pub const AHEAD: usize = 3;

/// Where blob bytes are kept.
///
/// Keys are chosen by [`key::new`] and used once. An object is written by one writer, and read only
/// after it was finished. Nothing is atomic but what the methods say; a crash may leave any prefix of
/// an object that was not finished.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Starts an object. Nothing need be there before the first write.
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>>;

    /// Goes on with an object at a checkpoint: what lies behind it is cut off.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Truncated`] where the checkpoint's bytes are not there.
    async fn resume(&self, key: &str, at: u64, hasher: Hasher) -> Result<Box<dyn BlobWriter>>;

    /// The bytes of a finished object within `range`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none; one that is too short fails while it is read.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks>;

    /// The object's size; `None` where there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;

    /// Removes an object. One that is not there is no error.
    async fn delete(&self, key: &str) -> Result<()>;

    /// The hours (since 1970) in which objects were started that are still there.
    async fn hours(&self) -> Result<Vec<i64>>;

    /// Keys of the objects that were started in an hour.
    async fn list(&self, hour: i64) -> Result<Vec<String>>;

    /// Gives back what an hour without objects may have left, such as an empty folder.
    async fn forget_hour(&self, hour: i64) -> Result<()>;
}

/// An object that is being written.
#[async_trait]
pub trait BlobWriter: Send {
    /// Takes bytes over: they are hashed and written in the background while the next ones are
    /// collected. At most [`AHEAD`] batches are held. An error may come with a later call.
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<()>;

    /// Makes all bytes durable; how many there are, and the state of their hash.
    async fn checkpoint(&mut self) -> Result<Checkpoint>;

    /// Gives the object up: when this returns, nothing that was handed over is written any more.
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
}

/// An object that is complete and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How many bytes it has.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}
