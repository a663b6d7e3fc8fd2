//! A connection's bytes, with what hyper does not tell of them: whether a request has begun to come
//! in, and a close that waits until the other side has read the last answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use storage::budget::{Budget, Holder, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a closed connection is read and its bytes thrown away, so that the kernel does not reset
/// it under the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// What is going on on a connection.
#[derive(Debug, Default)]
pub(crate) struct WireState {
    /// Requests whose answer is not out.
    serving: AtomicUsize,
    /// Bytes came since the last answer was out.
    touched: AtomicBool,
    /// A request was served.
    used: AtomicBool,
    /// Uploads that are read.
    uploads: AtomicUsize,
    /// A request was taken up, and bytes of its answer may not be out.
    answering: AtomicBool,
    /// Bodies of HTTP/1.1 requests that come in.
    receiving: AtomicUsize,
    /// The connection ends with the next answer.
    last: AtomicBool,
    /// It does if that refuses the request.
    unknown: AtomicBool,
}

/// A request whose answer is not out.
pub(crate) struct Served(Arc<WireState>);

/// An upload that is read.
pub(crate) struct Uploading(Arc<WireState>);

/// The body of an HTTP/1.1 request that comes in.
pub(crate) struct Receiving(Arc<WireState>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.receiving.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WireState {
    /// Counts an upload until what is returned is dropped.
    pub(crate) fn uploading(self: &Arc<Self>) -> Uploading {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Uploading(self.clone())
    }

    /// Whether much may come, for which there is memory.
    pub(crate) fn is_uploading(&self) -> bool {
        self.uploads.load(Ordering::Relaxed) > 0
    }

    /// Counts a body until what is returned is dropped.
    pub(crate) fn receiving(self: &Arc<Self>) -> Receiving {
        self.receiving.fetch_add(1, Ordering::Relaxed);
        Receiving(self.clone())
    }

    /// Lets the connection end with the next answer: what still comes of its request is not read.
    pub(crate) fn end_with_answer(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    /// A body is drained, and nobody knows how much of it comes.
    pub(crate) fn drains_unknown(&self) {
        self.unknown.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ends with an answer of this status: a refused client may stop sending what it began.
    pub(crate) fn ends_with(&self, status: StatusCode) -> bool {
        let unknown = self.unknown.swap(false, Ordering::Relaxed);
        self.last.load(Ordering::Relaxed) || (unknown && !status.is_success())
    }

    /// Counts a request until what is returned is dropped.
    pub(crate) fn serving(self: &Arc<Self>) -> Served {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.used.store(true, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
        Served(self.clone())
    }

    /// Whether no request was served yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.used.load(Ordering::Relaxed)
    }

    /// Whether a request's answer is not out.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed) > 0
    }

    /// All that was written is out.
    pub(crate) fn flushed(&self) {
        if !self.is_serving() {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    /// Whether what is read and written now belongs to a request that was taken up.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }

    /// Whether what comes in is the header of a request, not the rest of one that was taken up.
    pub(crate) fn awaits_header(&self) -> bool {
        !self.is_answering() && self.receiving.load(Ordering::Relaxed) == 0
    }

    /// Whether bytes came of a request that is not whole yet.
    pub(crate) fn has_half_a_request(&self) -> bool {
        self.touched.load(Ordering::Relaxed) && !self.is_serving()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.touched.store(false, Ordering::Relaxed);
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bytes.
pub(crate) struct Wire<T> {
    inner: Pin<Box<T>>,
    state: Arc<WireState>,
    /// Where places for closing connections are, and who takes one.
    places: (Arc<Budget>, Holder),
    closing: Option<Closing>,
}

/// A connection whose last bytes are thrown away.
struct Closing {
    end: Pin<Box<Sleep>>,
    _place: Reservation,
}

impl<T> Wire<T> {
    pub(crate) fn new(inner: T, state: Arc<WireState>, places: (Arc<Budget>, Holder)) -> Self {
        Self {
            inner: Box::pin(inner),
            state,
            places,
            closing: None,
        }
    }
}

impl<T: AsyncRead> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.inner.as_mut().poll_read(cx, buffer))?;
        // Bytes of a body are no request, also where nobody wants them any more.
        if buffer.filled().len() > before && self.state.receiving.load(Ordering::Relaxed) == 0 {
            self.state.touched.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite> AsyncWrite for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(self.inner.as_mut().poll_shutdown(cx))?;
            let (places, holder) = &self.places;
            // Each keeps the buffers of its connection: without a place, the last answer may be lost to a client that
            // still sends.
            let Some(place) = places.try_take(*holder, 1) else {
                return Poll::Ready(Ok(()));
            };
            self.closing = Some(Closing {
                end: Box::pin(tokio::time::sleep(LINGER)),
                _place: place,
            });
        }
        let this = &mut *self;
        let mut scratch = [0; 4096];
        loop {
            if let Some(closing) = &mut this.closing
                && closing.end.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(this.inner.as_mut().poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The other side has closed too.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
