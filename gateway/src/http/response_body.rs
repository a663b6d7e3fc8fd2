//! Bodies of answers: from memory, a blob's stream, or the REST API. The last byte completes the request's entry in
//! metrics and access log.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream as _;
use http::Version;
use http_body::{Frame, SizeHint};
use registry::blob::Download;
use storage::budget::{Budget, Holder, Reservation};

use crate::http::finish::Finish;

/// Answers in memory up to this size count as part of their connection: this covers most answers, without checking free
/// memory.
const FREE: usize = 8 << 10;

/// The memory that all unsent small answers of one HTTP/2 connection may use without checking free memory.
#[derive(Clone, Debug)]
pub(crate) struct Free(Arc<Budget>);

impl Default for Free {
    fn default() -> Self {
        // A single holder gets two thirds of it.
        Self(Budget::new(FREE + FREE / 2))
    }
}

impl Free {
    /// A place for an answer of this many bytes.
    pub(crate) fn place(&self, bytes: usize) -> Option<Reservation> {
        let place = || self.0.try_take(Holder::default(), bytes);
        (bytes <= FREE).then(place).flatten()
    }
}

/// The body of an answer.
pub(crate) struct Body {
    kind: Kind,
    memory: Option<Arc<Reservation>>,
    sent: u64,
    cut: bool,
    finish: Option<Box<Finish>>,
}

enum Kind {
    Memory(Option<Bytes>),
    Blob { stream: Download, left: u64 },
    Boxed(axum::body::Body),
}

/// Why a body was cut: the connection is closed or the stream reset, so that it does not look complete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The rest of the blob could not be read.
    #[error("the blob could not be read to its end")]
    Blob(#[from] registry::Error),
    /// The store returned more or less than the blob's size.
    #[error("the blob store gave a wrong number of bytes")]
    Length,
    /// The REST API failed.
    #[error("the answer failed")]
    Inner(#[source] axum::Error),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::of(Kind::Memory(None))
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Memory(
            Some(bytes.into()).filter(|bytes| !bytes.is_empty()),
        ))
    }

    /// A stream that must have exactly `length` bytes.
    pub(crate) fn blob(stream: Download, length: u64) -> Self {
        Self::of(Kind::Blob {
            stream,
            left: length,
        })
    }

    pub(crate) fn boxed(body: axum::body::Body) -> Self {
        Self::of(Kind::Boxed(body))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            memory: None,
            sent: 0,
            cut: false,
            finish: None,
        }
    }

    /// Completes the request's entry when the body ends or is dropped.
    pub(crate) fn finishing(mut self, finish: Finish) -> Self {
        self.finish = Some(Box::new(finish));
        self
    }

    /// Bytes of memory that it needs but has not reserved. Blobs have their own, and over HTTP/1.1, with one answer at
    /// a time, small answers need none.
    pub(crate) fn memory(&self, version: Version) -> usize {
        let free = if version == Version::HTTP_2 { 0 } else { FREE };
        match &self.kind {
            Kind::Blob { .. } => 0,
            Kind::Memory(_) | Kind::Boxed(_) => {
                let size = http_body::Body::size_hint(self).lower();
                usize::try_from(size)
                    .ok()
                    .filter(|size| *size > free)
                    .unwrap_or(0)
            }
        }
    }

    /// The same with a place, held until the last byte is sent.
    pub(crate) fn holding(mut self, place: Reservation) -> Self {
        self.memory = Some(Arc::new(place));
        self
    }

    fn poll_blob(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Kind::Blob { stream, left } = &mut self.kind else {
            return Poll::Ready(None);
        };
        match Pin::new(stream).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Poll::Ready(Some(Ok(bytes)))
                }
                None => Poll::Ready(Some(Err(BodyError::Length))),
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) if *left > 0 => Poll::Ready(Some(Err(BodyError::Length))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Memory(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Blob { .. } => this
                .poll_blob(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
            Kind::Boxed(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(BodyError::Inner))),
        };
        let polled = match (polled, &this.memory) {
            (Poll::Ready(Some(Ok(frame))), Some(place)) => {
                Poll::Ready(Some(Ok(frame.map_data(|bytes| place.attach(bytes)))))
            }
            (polled, _) => polled,
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Poll::Ready(Some(Err(error))) => {
                this.cut = true;
                tracing::error!(%error, cause = ?std::error::Error::source(error), "an answer was cut");
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Memory(bytes) => bytes.is_none(),
            Kind::Blob { left, .. } => *left == 0,
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Memory(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Kind::Blob { left, .. } => SizeHint::with_exact(*left),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(finish) = self.finish.take() {
            finish.end(self.sent, self.cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_answers_of_a_connection_share_what_is_free() {
        let free = Free::default();
        let first = free.place(FREE);
        assert!(first.is_some());
        assert!(free.place(FREE).is_none());
        assert!(free.place(FREE / 2).is_some());
        drop(first);
        assert!(free.place(FREE).is_some());
        assert!(free.place(FREE + 1).is_none());
    }
}
