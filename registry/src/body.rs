//! Request bodies as they arrive.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// The bytes of a request body as they come from the socket.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Why a body was not received completely.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection was cut.
    #[error("the connection was cut")]
    Cut,
    /// The client sends too slowly, or stalled.
    #[error(
        "less than {rate} bytes per second came, and the {patience:?} that a client may fall behind are over"
    )]
    TooSlow {
        /// Minimum bytes per second.
        rate: u64,
        /// How long a client may fall behind.
        patience: Duration,
    },
    /// A short body took too long overall.
    #[error("it had to be here within {0:?}")]
    Late(Duration),
    /// There was no memory for it.
    #[error("too many bodies are on their way: try again")]
    Busy,
    /// Its sender lost the permission meanwhile.
    #[error("the right to push was taken away while the body was being sent")]
    Refused,
    /// The sender's permission cannot be checked now.
    #[error("cannot find out whether the right to push is still there: try again")]
    Unsure,
    /// The registry became read-only meanwhile.
    #[error("writing was forbidden while the body was being sent")]
    ReadOnly,
    /// It is longer than allowed.
    #[error("more than {0} bytes came")]
    TooLarge(u64),
}

/// Bytes to hand to the store at a time.
pub(crate) const BATCH: usize = 256 << 10;
/// Collects frames into batches.
pub(crate) struct Batches {
    body: Body,
    ended: bool,
}

impl Batches {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, ended: false }
    }

    /// The next batch, and how the body ended, if it did. An error comes with the bytes received before it.
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
