//! Bodies of requests, and the memory that they may take.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;

use crate::{BUDGET_UNIT, Error, Registry, Result};

/// The bytes of a request's body as they come from the socket.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection was cut.
    #[error("the connection was cut")]
    Cut,
    /// The client stopped sending.
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    /// More came than is allowed.
    #[error("more than {0} bytes came")]
    TooLarge(u64),
}

/// Bytes that are handed to the store at a time.
pub(crate) const BATCH: usize = 256 << 10;
/// What an upload holds at most: the batches that the store has taken, and one that is collected.
pub(crate) const UPLOAD_MEMORY: usize = (storage::AHEAD + 1) * BATCH;
/// What a download that nobody reads holds, on its way from the store and encrypted. Measured: 0.15 MiB from
/// files, 0.2 MiB from S3.
pub(crate) const DOWNLOAD_MEMORY: usize = 256 << 10;
/// How long a body waits for memory.
const PATIENCE: Duration = Duration::from_secs(30);

/// Collects frames into batches.
pub(crate) struct Batches {
    body: Body,
    ended: bool,
}

impl Batches {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, ended: false }
    }

    /// The next batch, and how the body ended if it did. An error comes with the bytes before it.
    pub(crate) async fn next(&mut self) -> (Vec<Bytes>, Option<Result<(), BodyError>>) {
        let mut batch = Vec::new();
        let mut size = 0;
        while size < BATCH && !self.ended {
            match self.body.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    size += bytes.len();
                    batch.push(bytes);
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return (batch, Some(Err(error)));
                }
                None => {
                    self.ended = true;
                    return (batch, Some(Ok(())));
                }
            }
        }
        (batch, None)
    }
}

impl Registry {
    /// A place of this many bytes in the process-wide memory for bodies, given back when it is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] where none is free within half a minute.
    pub(crate) async fn body_memory(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / BUDGET_UNIT).unwrap_or(u32::MAX);
        let waiting = Arc::clone(&self.budget).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::Busy),
        }
    }
}
