//! The memory that bodies may take, of requests and of answers. One number bounds all of them; clients share it as
//! [`storage::budget`] says.

use std::sync::Arc;
use std::time::Duration;

use policy::Caller;
use storage::budget::{Budget, Exhausted, Holder, Reservation, Terms};

use crate::body::BATCH;
use crate::{Error, Result};

/// What an upload holds at most: the batches that the store has taken, and one that is collected.
const UPLOAD: usize = (storage::AHEAD + 1) * BATCH;
/// What a download holds that nobody reads, on its way from the store and encrypted. Measured: 0.15 MiB from
/// files, 0.2 MiB from S3.
const DOWNLOAD: usize = 256 << 10;
/// The least that is taken: what the buffers of a connection add to a short body.
const LEAST: usize = 64 << 10;
/// The part of the whole that is kept for short bodies: one in so many bytes.
const SHORT: usize = 16;
/// Short bodies of one source that may wait for memory, each with the buffers of its connection.
const SHORT_QUEUE: usize = 16;
/// How long a body waits for memory.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The memory for bodies.
#[derive(Debug)]
pub struct BodyMemory {
    bulk: Arc<Budget>,
    short: Arc<Budget>,
}

/// Who holds the memory that a caller's requests take.
pub fn holder(caller: &Caller) -> Holder {
    Holder {
        account: caller.account(),
        source: caller.address.map(Into::into),
    }
}

impl BodyMemory {
    /// Memory of this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            bulk: Budget::new(bytes - bytes / SHORT),
            short: Budget::new(Terms {
                queue: SHORT_QUEUE,
                ..(bytes / SHORT).into()
            }),
        }
    }

    /// For blobs and manifests, and for answers: all but the next.
    pub fn bulk(&self) -> &Arc<Budget> {
        &self.bulk
    }

    /// For what is read before it is known who sends it, and for the REST API: one sixteenth of the whole, so that
    /// it takes nothing from pushes and pulls.
    pub fn short(&self) -> &Arc<Budget> {
        &self.short
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

    async fn wait(&self, caller: &Caller, bytes: usize) -> Result<Reservation> {
        Ok(self.bulk.take(holder(caller), bytes, PATIENCE).await?)
    }
}

/// What a body of this length takes.
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
