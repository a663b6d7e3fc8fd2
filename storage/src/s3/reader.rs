//! Reading an object: the body of a GET, resumed if it breaks off, and never shorter than requested.

use std::future::Future as _;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use tokio::time::{Instant, Sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::bucket::Bucket;
use super::error::unavailable;
use crate::{Cause, Error, Result};

/// Maximum time without data from the server.
const IDLE: Duration = Duration::from_secs(30);
/// How often a broken read is resumed.
const TRIES: u32 = 2;

/// The bytes of an object within a range.
pub(super) struct Reader {
    bucket: Arc<Bucket>,
    key: String,
    /// The remaining range.
    left: Range<u64>,
    source: Source,
    /// Deadline for the server's next bytes.
    idle: Pin<Box<Sleep>>,
    /// True while waiting for the server.
    waiting: bool,
    tries: u32,
}

enum Source {
    Body(SdkBody),
    Opening(AbortOnDropHandle<Result<SdkBody>>),
    Ended,
}

impl Reader {
    pub(super) fn new(bucket: &Arc<Bucket>, key: &str, range: Range<u64>, body: SdkBody) -> Self {
        Self {
            bucket: bucket.clone(),
            key: key.to_owned(),
            left: range,
            source: Source::Body(body),
            idle: Box::pin(tokio::time::sleep(IDLE)),
            waiting: false,
            tries: TRIES,
        }
    }

    /// Requests the rest, or fails for good.
    fn reopen(&mut self, cause: Cause) -> Option<Error> {
        self.waiting = false;
        if self.tries == 0 {
            self.source = Source::Ended;
            return Some(unavailable("read", self.key.clone(), cause));
        }
        tracing::debug!(object.key = self.key, error = %cause, "a read broke and is taken up again");
        self.tries -= 1;
        let (bucket, key, left) = (self.bucket.clone(), self.key.clone(), self.left.clone());
        let opening = async move { bucket.get(&key, left).await };
        let opening = tokio::spawn(opening.in_current_span());
        self.source = Source::Opening(AbortOnDropHandle::new(opening));
        None
    }

    /// Received bytes, cut to the requested range.
    fn take(&mut self, mut bytes: Bytes) -> Bytes {
        self.waiting = false;
        let wanted = self.left.end - self.left.start;
        bytes.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.left.start += bytes.len() as u64;
        bytes
    }

    /// The next piece of a body; an error if it ends early, breaks off or stalls.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Cause>> {
        let Source::Body(body) = &mut self.source else {
            return Poll::Ready(Err("no body".into()));
        };
        loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Ok(bytes)),
                    _ => continue,
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Err("the body ended early".into())),
                Poll::Pending => {}
            }
            if !self.waiting {
                self.waiting = true;
                self.idle.as_mut().reset(Instant::now() + IDLE);
            }
            ready!(self.idle.as_mut().poll(cx));
            return Poll::Ready(Err(format!("nothing came for {IDLE:?}").into()));
        }
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if self.left.is_empty() {
                self.source = Source::Ended;
            }
            match &mut self.source {
                Source::Ended => return Poll::Ready(None),
                Source::Opening(opening) => match ready!(Pin::new(opening).poll(cx)) {
                    Ok(Ok(body)) => self.source = Source::Body(body),
                    Ok(Err(error)) => {
                        self.source = Source::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                    Err(error) => {
                        self.tries = 0;
                        return Poll::Ready(self.reopen(error.into()).map(Err));
                    }
                },
                Source::Body(_) => match ready!(self.poll_body(cx)) {
                    Ok(bytes) => return Poll::Ready(Some(Ok(self.take(bytes)))),
                    Err(cause) => {
                        if let Some(error) = self.reopen(cause) {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                },
            }
        }
    }
}
