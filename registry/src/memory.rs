//! Memory for request and response bodies, and turns at the database for lists. One limit covers all of them; clients share it as described in
//! [`storage::budget`].

use std::sync::Arc;
use std::time::Duration;

use policy::Caller;
use storage::budget::{Budget, Exhausted, Holder, Reservation, Terms};

use crate::body::BATCH;
use crate::{Error, Result};

/// Maximum memory of an upload: the batches buffered by the store, and one being collected.
const UPLOAD: usize = (storage::AHEAD + 1) * BATCH;
/// Memory of a download that nobody reads: buffered from the store, and encrypted. Measured: 0.15 MiB from files, 0.2
/// MiB from S3.
const DOWNLOAD: usize = 256 << 10;
/// Minimum to take: what a connection's buffers add to a short body.
const LEAST: usize = 64 << 10;
/// Fraction of the total reserved for short bodies: one in this many bytes.
const SHORT: usize = 16;
/// Limit of short bodies per source that wait for memory, each with its connection's buffers.
const SHORT_QUEUE: usize = 16;
/// Memory for a manifest that is copied, as a multiple of its size.
const COPIES: usize = 3;
/// Memory for answers of the REST API that are being built: rows, what belongs to them, and JSON.
const ANSWERS: usize = 64 << 20;
/// Limit of such answers per source that wait for memory.
const ANSWERS_QUEUE: usize = 64;
/// One more than the lists that are read at a time where readers are few, as with SQLite, and where they are many: the last
/// turn is for whoever comes next.
const LISTS_OF_FEW: usize = 5;
const LISTS_OF_MANY: usize = 9;
/// Limit of lists per source that wait for their turn.
const LISTS_QUEUE: usize = 128;
/// How long a body waits for memory.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The memory for bodies.
#[derive(Debug)]
pub struct BodyMemory {
    bulk: Arc<Budget>,
    short: Arc<Budget>,
    answers: Arc<Budget>,
    lists: Arc<Budget>,
}

/// The holder for a caller's requests.
pub fn holder(caller: &Caller) -> Holder {
    Holder {
        principal: caller.id(),
        source: caller.address.map(Into::into),
    }
}

impl BodyMemory {
    /// A budget of this many bytes. `has_shared_database` tells whether other processes use the database too.
    pub fn new(bytes: usize, has_shared_database: bool) -> Self {
        let lists = match has_shared_database {
            true => LISTS_OF_MANY,
            false => LISTS_OF_FEW,
        };
        Self {
            lists: Budget::new(Terms {
                queue: LISTS_QUEUE,
                ..lists.into()
            }),
            bulk: Budget::new(bytes - bytes / SHORT),
            short: Budget::new(Terms {
                queue: SHORT_QUEUE,
                ..(bytes / SHORT).into()
            }),
            answers: Budget::new(Terms {
                queue: ANSWERS_QUEUE,
                ..ANSWERS.into()
            }),
        }
    }

    /// For blobs, manifests and answers: everything but the next.
    pub fn bulk(&self) -> &Arc<Budget> {
        &self.bulk
    }

    /// For bodies read before the sender is known, and for the REST API: one sixteenth of the total, kept apart from
    /// pushes and pulls.
    pub fn short(&self) -> &Arc<Budget> {
        &self.short
    }

    /// For answers of the REST API until they are built, separate from all bodies. How much they need is known only
    /// once their rows are read, so in a shared budget they could wait for each other for ever.
    pub fn answers(&self) -> &Arc<Budget> {
        &self.answers
    }

    /// A turn for reading a list: there are fewer than database connections, and no source or principal gets all of
    /// them while others wait. It is held while the database is queried.
    ///
    /// # Errors
    /// [`Exhausted`] if there is none in time.
    pub async fn turn(&self, holder: Holder) -> std::result::Result<Reservation, Exhausted> {
        self.lists.take(holder, 1, PATIENCE).await
    }

    /// Bytes that are free.
    pub fn free(&self) -> usize {
        self.bulk.free() + self.short.free()
    }

    pub(crate) async fn for_upload(
        &self,
        caller: &Caller,
        length: Option<u64>,
    ) -> Result<Reservation> {
        self.wait(caller, at_most(UPLOAD, length)).await
    }

    pub(crate) async fn for_download(&self, caller: &Caller, length: u64) -> Result<Reservation> {
        self.wait(caller, at_most(DOWNLOAD, Some(length))).await
    }

    /// For manifests that are read to be copied: their bytes and parsed form.
    ///
    /// # Errors
    /// [`Error::CopyTooLarge`] if there is never that much.
    pub(crate) async fn for_copy(&self, caller: &Caller, bytes: usize) -> Result<Reservation> {
        let most = self.bulk.largest_share() / COPIES;
        if bytes > most {
            return Err(Error::CopyTooLarge("bytes of manifests", most as i64));
        }
        self.wait(caller, (bytes * COPIES).max(LEAST)).await
    }

    async fn wait(&self, caller: &Caller, bytes: usize) -> Result<Reservation> {
        Ok(self.bulk.take(holder(caller), bytes, PATIENCE).await?)
    }
}

/// Memory for a body of this length.
fn at_most(most: usize, length: Option<u64>) -> usize {
    length
        .and_then(|length| usize::try_from(length).ok())
        .map_or(most, |length| length.clamp(LEAST, most))
}

impl From<Exhausted> for Error {
    fn from(_: Exhausted) -> Self {
        Self::Busy
    }
}
