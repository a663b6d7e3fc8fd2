//! Bodies of requests: abandoned if the client is too slow, and drained if an answer was sent before they were read, so
//! that HTTP/2 clients see no reset and HTTP/1.1 connections stay usable. If draining would cost too much, the answer
//! says that the connection closes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use h2::RecvStream;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use registry::BodyError;
use registry::memory::PATIENCE;
use storage::budget::{Budget, Holder, Reservation};

use crate::app::App;
use crate::http::peer::Peer;
use crate::http::windows::{Wide, Windows};
use crate::pace::Pace;
use crate::wire::{Receiving, Uploading};

/// Bytes of an unread body that are read and discarded.
const DRAIN_BYTES: usize = 1 << 20;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// The memory that a short body of unknown length takes at first; it is doubled if more comes.
const FIRST: usize = 8 << 10;
/// The maximum memory of a connection's buffers for a larger short body, beside the body itself.
const BUFFERED: usize = 64 << 10;

/// The body of a request.
pub(crate) struct RequestBody {
    /// The rest to read; `None` for most requests, which have no body.
    inner: Option<Box<Inner>>,
    ended: bool,
    pace: Pace,
    app: Arc<App>,
    peer: Arc<Peer>,
    /// Its sender.
    holder: Holder,
    /// While it exists, much may come.
    uploading: Option<Uploading>,
}

/// The bytes as they come.
pub(crate) enum Inner {
    /// HTTP/1.1.
    Http1 {
        body: Incoming,
        /// The client sends it only when asked to (`Expect`), and was not asked yet.
        expected: bool,
        _receiving: Receiving,
    },
    /// HTTP/2.
    Http2 {
        stream: RecvStream,
        length: Option<u64>,
        windows: Windows,
        upload: Upload,
    },
}

/// Whether an HTTP/2 body is an upload, which may be sent further ahead than others.
pub(crate) enum Upload {
    /// No, or there is no memory for it.
    No,
    /// It will be once its first bytes are needed: then it has its own memory.
    Begins(Holder),
    /// It is.
    Runs(#[expect(dead_code, reason = "held for as long as the body is read")] Wide),
}

/// The limits of a short body.
#[derive(Clone, Copy)]
pub(crate) struct Short<'a> {
    /// Bytes at most.
    pub(crate) limit: usize,
    /// Where the memory for them comes from.
    pub(crate) memory: &'a Arc<Budget>,
    /// Who uses it.
    pub(crate) holder: Holder,
    /// Time limit for the whole body.
    pub(crate) time: Duration,
}

impl Inner {
    /// The body of an HTTP/1.1 request with these headers.
    pub(crate) fn http1(body: Incoming, headers: &HeaderMap, peer: &Peer) -> Self {
        Self::Http1 {
            body,
            expected: headers.contains_key(header::EXPECT),
            _receiving: peer.wire.receiving(),
        }
    }

    /// Whether reading the rest costs little, so that the connection can be reused.
    fn can_be_drained(&self) -> bool {
        match self {
            Self::Http1 { body, expected, .. } => {
                let left = body.size_hint().exact();
                !expected && left.is_none_or(|left| left <= DRAIN_BYTES as u64)
            }
            // The stream is reset when it takes too long.
            Self::Http2 { .. } => true,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1 { body, .. } => body.is_end_stream(),
            Self::Http2 { stream, .. } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1 { body, .. } => body.size_hint(),
            Self::Http2 { length, .. } => length.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Http1 { body, expected, .. } => {
                *expected = false;
                poll_http1(body, cx)
            }
            Self::Http2 {
                stream,
                windows,
                upload,
                ..
            } => {
                if let Upload::Begins(holder) = upload {
                    *upload = windows.widen(*holder).map_or(Upload::No, Upload::Runs);
                }
                poll_http2(stream, cx)
            }
        }
    }
}

fn poll_http1(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Cut))),
            // Trailers are ignored.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

fn poll_http2(
    stream: &mut RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BodyError>>> {
    match ready!(stream.poll_data(cx)) {
        None => Poll::Ready(None),
        Some(Err(_)) => Poll::Ready(Some(Err(BodyError::Cut))),
        Some(Ok(bytes)) => {
            // The reader has memory for these bytes, so as many more may come.
            let released = stream.flow_control().release_capacity(bytes.len());
            Poll::Ready(Some(released.map(|()| bytes).map_err(|_| BodyError::Cut)))
        }
    }
}

impl RequestBody {
    pub(crate) fn new(inner: Inner, app: Arc<App>, peer: Arc<Peer>, holder: Holder) -> Self {
        let ended = inner.is_end_stream();
        Self {
            ended,
            inner: (!ended).then(|| Box::new(inner)),
            pace: Pace::new(app.config.limits.least()),
            app,
            peer,
            holder,
            uploading: None,
        }
    }

    /// The same, for a body of which much may come.
    pub(crate) fn for_upload(mut self, holder: Holder) -> Self {
        self.uploading = Some(self.peer.wire.uploading());
        if let Some(Inner::Http2 { upload, .. }) = self.inner.as_deref_mut() {
            *upload = Upload::Begins(holder);
        }
        self
    }

    /// The whole body, which keeps its memory until it is dropped.
    pub(crate) async fn collect(self, short: Short<'_>) -> Result<Bytes, BodyError> {
        tokio::time::timeout(short.time, self.gather(short))
            .await
            .unwrap_or(Err(BodyError::Late(short.time)))
    }

    async fn gather(mut self, short: Short<'_>) -> Result<Bytes, BodyError> {
        let too_large = || BodyError::TooLarge(short.limit as u64);
        let length = http_body::Body::size_hint(&self).exact();
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if length.is_some_and(|length| length > short.limit) {
            return Err(too_large());
        }
        if length == Some(0) {
            return Ok(Bytes::new());
        }
        let first = length.unwrap_or(FIRST.min(short.limit));
        let buffered = if first > FIRST {
            first.min(BUFFERED)
        } else {
            0
        };
        let taken = first.saturating_add(buffered);
        let place = short.memory.take(short.holder, taken, PATIENCE).await;
        let mut place = place.map_err(|_| BodyError::Busy)?;
        let mut bytes = BytesMut::with_capacity(first);
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let size = bytes.len() + data.len();
            if size > short.limit {
                return Err(too_large());
            }
            if size > place.amount() {
                let larger = size.max(2 * place.amount()).min(short.limit);
                let grown = place.grow_to(larger, PATIENCE).await;
                grown.map_err(|_| BodyError::Busy)?;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Arc::new(place).attach(bytes.freeze()))
    }

    /// The rest is not read. Over HTTP/2 this ends the stream, over HTTP/1.1 the connection, which the answer has to
    /// say.
    fn give_up(&mut self) {
        if let Some(Inner::Http1 { .. }) = self.inner.take().as_deref() {
            self.peer.wire.end_with_answer();
        }
    }

    fn too_slow(&self) -> BodyError {
        let least = self.app.config.limits.least();
        BodyError::TooSlow {
            rate: least.bytes_per_second,
            patience: least.patience,
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match inner.poll_data(cx) {
            Poll::Ready(None) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(bytes))) => {
                this.pace.moved(bytes.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Some(Err(error))) => {
                this.ended = true;
                this.give_up();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending if this.pace.poll_late(cx).is_ready() => {
                this.ended = true;
                this.give_up();
                this.uploading = None;
                Poll::Ready(Some(Err(this.too_slow())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.as_deref().is_none_or(Inner::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_deref();
        inner.map_or_else(|| SizeHint::with_exact(0), Inner::size_hint)
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if http_body::Body::is_end_stream(self) {
            return;
        }
        let can_be_drained = self.inner.as_deref().is_some_and(Inner::can_be_drained);
        let place = || self.app.drains.try_take(self.holder, 1);
        match can_be_drained.then(place).flatten() {
            Some(place) => {
                if let Some(inner) = self.inner.take() {
                    if let Inner::Http1 { body, .. } = &*inner
                        && body.size_hint().exact().is_none()
                    {
                        self.peer.wire.drains_unknown();
                    }
                    self.app.drain.spawn(drain(inner, place));
                }
            }
            // Also if too many are being drained for this client.
            None => self.give_up(),
        }
    }
}

async fn drain(mut body: Box<Inner>, _place: Reservation) {
    let reading = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(bytes)) = std::future::poll_fn(|cx| body.poll_data(cx)).await {
            match left.checked_sub(bytes.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // After this time or number of bytes, dropping the body closes the connection.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
