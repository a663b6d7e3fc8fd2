//! A connection's bytes, with what hyper does not provide: whether a request has begun to come in, and a close that
//! waits until the other side has read the last answer.

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

/// How long a closed connection is read and its bytes discarded, so that the kernel does not reset it before the last
/// answer is read.
const LINGER: Duration = Duration::from_secs(1);

/// The activity on a connection.
#[derive(Debug, Default)]
pub(crate) struct WireState {
    /// Requests whose answer is not fully sent.
    serving: AtomicUsize,
    /// Bytes came since the last answer was sent.
    touched: AtomicBool,
    /// A request was served.
    used: AtomicBool,
    /// Uploads being read.
    uploads: AtomicUsize,
    /// A request was accepted, and bytes of its answer may not be sent yet.
    answering: AtomicBool,
    /// Incoming bodies of HTTP/1.1 requests.
    receiving: AtomicUsize,
    /// The connection closes after the next answer.
    last: AtomicBool,
    /// It closes if that answer refuses the request.
    unknown: AtomicBool,
}

/// A request whose answer is not fully sent.
pub(crate) struct Served(Arc<WireState>);

/// An upload being read.
pub(crate) struct Uploading(Arc<WireState>);

/// The incoming body of an HTTP/1.1 request.
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
    /// Counts an upload until the returned value is dropped.
    pub(crate) fn uploading(self: &Arc<Self>) -> Uploading {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Uploading(self.clone())
    }

    /// Whether much may come, with memory reserved for it.
    pub(crate) fn is_uploading(&self) -> bool {
        self.uploads.load(Ordering::Relaxed) > 0
    }

    /// Counts a body until the returned value is dropped.
    pub(crate) fn receiving(self: &Arc<Self>) -> Receiving {
        self.receiving.fetch_add(1, Ordering::Relaxed);
        Receiving(self.clone())
    }

    /// Closes the connection after the next answer: the rest of its request is not read.
    pub(crate) fn end_with_answer(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    /// A body of unknown length is being drained.
    pub(crate) fn drains_unknown(&self) {
        self.unknown.store(true, Ordering::Relaxed);
    }

    /// Whether the connection closes after an answer with this status: a refused client may stop sending its body.
    pub(crate) fn ends_with(&self, status: StatusCode) -> bool {
        let unknown = self.unknown.swap(false, Ordering::Relaxed);
        self.last.load(Ordering::Relaxed) || (unknown && !status.is_success())
    }

    /// Counts a request until the returned value is dropped.
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

    /// Whether an answer is not fully sent.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed) > 0
    }

    /// Everything written has been sent.
    pub(crate) fn flushed(&self) {
        if !self.is_serving() {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    /// Whether bytes read and written now belong to an accepted request.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }

    /// Whether incoming bytes are the header of a request, not the rest of an accepted one.
    pub(crate) fn awaits_header(&self) -> bool {
        !self.is_answering() && self.receiving.load(Ordering::Relaxed) == 0
    }

    /// Whether bytes came of an incomplete request.
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
    /// The places for closing connections, and who takes one.
    places: (Arc<Budget>, Holder),
    closing: Option<Closing>,
}

/// A connection whose last bytes are discarded.
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
        // Bytes of a body are not a request, even if they are no longer wanted.
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
            // Each keeps its connection's buffers. Without a place, a client that is still sending may lose the last
            // answer.
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
