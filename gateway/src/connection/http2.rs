//! An HTTP/2 connection, on the `h2` library itself: hyper's server neither limits what a client sends ahead to the
//! available memory, nor how long a stream may stay unread.
//!
//! All streams of a connection run in its task, so that a frame wakes no other thread, and the output of several
//! streams goes out in one write.

mod cork;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, header};
use http_body::Body as _;
use storage::budget::Budget;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use self::cork::Cork;
use super::Serving;
use crate::http::header::MOST_FIELDS;
use crate::http::request_body::{Inner, Upload};
use crate::http::response_body::Body;
use crate::http::windows::{STREAM, Windows};
use crate::pace::{Least, Pace};

/// Maximum number of requests of one connection at a time.
const STREAMS: u32 = 128;
/// The largest frame that clients may send: larger frames need less work per byte.
const FRAME: u32 = 64 << 10;
/// Bytes of one stream waiting to be written.
const SEND_BUFFER: usize = 128 << 10;
/// What each header field counts beside its bytes.
const FIELD: usize = 32;
/// Allowance for the method, the scheme, the authority and the path.
const PSEUDO_FIELDS: usize = 28;
/// How long a client may take to close after it was told to.
const LEAVE: Duration = Duration::from_secs(3);

/// What a connection needs to be served.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// Maximum size of a request's header fields, in bytes.
    pub(super) header_bytes: usize,
    /// How long to keep a connection without requests.
    pub(super) idle: Duration,
}

impl Settings {
    /// The size of a header beyond which the library answers 431 itself: it counts 32 bytes for each field (RFC 9113,
    /// section 6.5.2), which also limits the number of fields.
    fn header_list(&self) -> u32 {
        let fields = MOST_FIELDS + PSEUDO_FIELDS;
        u32::try_from(self.header_bytes + fields * FIELD).unwrap_or(u32::MAX)
    }
}

/// A connection being served.
pub(super) struct Http2<T, M, F> {
    connection: Connection<Cork<T>, Bytes>,
    cork: Cork<T>,
    streams: FuturesUnordered<F>,
    make: M,
    windows: Windows,
    /// The connection's window as last set.
    window: u32,
    settings: Settings,
    /// When a connection without requests is told to close, or must be closed.
    idle: Pin<Box<Sleep>>,
    leaving: bool,
}

/// Does the handshake. `make` creates the work for a stream.
///
/// # Errors
/// If the client speaks another protocol, or the connection ends.
pub(super) async fn accept<T, M, F>(
    io: T,
    memory: Arc<Budget>,
    settings: Settings,
    make: M,
) -> Result<Http2<T, M, F>, h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Fn(Exchange) -> F,
    F: Future<Output = ()>,
{
    let cork = Cork::new(io);
    let handle = cork.handle();
    let shaking = h2::server::Builder::new()
        .initial_window_size(STREAM)
        .max_frame_size(FRAME)
        .max_header_list_size(settings.header_list())
        .max_concurrent_streams(STREAMS)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake(cork);
    let mut shaking = std::pin::pin!(shaking);
    let connection = poll_fn(|cx| {
        let shaken = shaking.as_mut().poll(cx);
        // A socket that fails here also fails at the library's next read.
        let _ = handle.poll_flush_now(cx);
        shaken
    });
    Ok(Http2 {
        connection: connection.await?,
        cork: handle,
        streams: FuturesUnordered::new(),
        make,
        windows: Windows::new(memory),
        window: 0,
        settings,
        idle: Box::pin(tokio::time::sleep(settings.idle)),
        leaving: false,
    })
}

impl<T, M, F> Http2<T, M, F>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Fn(Exchange) -> F,
    F: Future<Output = ()>,
{
    /// Reads what the client sends and starts its requests; ready at the end of the connection.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.connection.poll_accept(cx)) {
                Some(Ok((request, answer))) => {
                    let exchange = Exchange::new(request, answer, self.windows.clone());
                    self.streams.push((self.make)(exchange));
                }
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
    }

    fn set_window(&mut self, cx: &Context<'_>) {
        let window = self.windows.connection(cx.waker());
        if window != self.window {
            self.connection.set_target_window_size(window);
            self.window = window;
        }
    }

    /// Ready when a connection without requests was told to close and did not.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.idle.as_mut().poll(cx).is_ready() {
            if self.leaving {
                return Poll::Ready(());
            }
            self.connection.graceful_shutdown();
            self.leaving = true;
            self.idle.as_mut().reset(Instant::now() + LEAVE);
        }
        Poll::Pending
    }

    /// No more requests come from here on.
    fn begin_idle(&mut self) {
        let time = if self.leaving {
            LEAVE
        } else {
            self.settings.idle
        };
        self.idle.as_mut().reset(Instant::now() + time);
    }
}

impl<T, M, F> Future for Http2<T, M, F>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Fn(Exchange) -> F + Unpin,
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.set_window(cx);
        if this.poll_requests(cx).is_ready() {
            // Further output is of no use: the connection is over.
            let _ = this.cork.poll_flush_now(cx);
            return Poll::Ready(());
        }
        let mut ended = false;
        while let Poll::Ready(Some(())) = this.streams.poll_next_unpin(cx) {
            ended = true;
        }
        if ended && this.streams.is_empty() {
            this.begin_idle();
        }
        if this.streams.is_empty() && this.poll_idle(cx).is_ready() {
            return Poll::Ready(());
        }
        match this.cork.poll_flush_now(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl<T, M, F> Serving for Http2<T, M, F>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Fn(Exchange) -> F + Unpin,
    F: Future<Output = ()>,
{
    const MULTIPLEXED: bool = true;

    fn leave(self: Pin<&mut Self>) {
        let this = self.get_mut();
        this.leaving = true;
        this.connection.graceful_shutdown();
        this.begin_idle();
    }
}

/// A request, and the way to send its answer.
pub(super) struct Exchange {
    pub(super) request: Request<Inner>,
    answer: SendResponse<Bytes>,
}

impl Exchange {
    fn new(request: Request<RecvStream>, answer: SendResponse<Bytes>, windows: Windows) -> Self {
        let length = content_length(request.headers());
        let request = request.map(|stream| Inner::Http2 {
            length: if stream.is_end_stream() {
                Some(0)
            } else {
                length
            },
            stream,
            windows,
            upload: Upload::No,
        });
        Self { request, answer }
    }

    /// Refuses the request before any work on it, so that the client may send it again.
    pub(super) fn refuse(mut self) {
        self.answer.send_reset(Reason::REFUSED_STREAM);
    }

    /// Answers with the result of `work`, which is dropped if the client cancels the request. A panic in it ends only
    /// this stream.
    pub(super) async fn serve<W>(self, least: Least, work: impl FnOnce(Request<Inner>) -> W)
    where
        W: Future<Output = Response<Body>>,
    {
        let Self {
            request,
            mut answer,
        } = self;
        let work = std::panic::AssertUnwindSafe(work(request)).catch_unwind();
        let mut work = std::pin::pin!(work);
        let response = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(made) => Poll::Ready(made.ok()),
            Poll::Pending if answer.poll_reset(cx).is_ready() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let Some(response) = response.await else {
            return answer.send_reset(Reason::INTERNAL_ERROR);
        };
        let (parts, body) = response.into_parts();
        let mut head = Response::from_parts(parts, ());
        complete(head.headers_mut(), &body);
        // If this fails, the client has cancelled the request.
        if let Ok(stream) = answer.send_response(head, body.is_end_stream())
            && !body.is_end_stream()
        {
            send(stream, body, Pace::new(least)).await;
        }
    }
}

/// Adds the length if it is known, as the library does for HTTP/1.1.
fn complete(headers: &mut HeaderMap, body: &Body) {
    if let Some(length) = body.size_hint().exact()
        && !body.is_end_stream()
    {
        headers
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| length.into());
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Sends a body as fast as the client reads it. A client that reads too slowly is cut off.
async fn send(mut stream: SendStream<Bytes>, body: Body, mut pace: Pace) {
    let mut body = std::pin::pin!(body);
    loop {
        let next = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Ready(next) => Poll::Ready(Ok(next)),
            Poll::Pending if stream.poll_reset(cx).is_ready() => Poll::Ready(Err(())),
            Poll::Pending => Poll::Pending,
        });
        let bytes = match next.await {
            Err(()) => return,
            Ok(None) => {
                // If this fails, the client has cancelled the request.
                let _ = stream.send_data(Bytes::new(), true);
                return;
            }
            Ok(Some(Err(_))) => return stream.send_reset(Reason::INTERNAL_ERROR),
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        if bytes.is_empty() {
            continue;
        }
        let last = body.is_end_stream();
        match send_all(&mut stream, bytes, last, &mut pace).await {
            Sent::All if last => return,
            Sent::All => {}
            Sent::GivenUp => return,
            Sent::TooSlow => return stream.send_reset(Reason::CANCEL),
        }
    }
}

/// The result of sending bytes.
enum Sent {
    All,
    /// The client no longer wants them.
    GivenUp,
    /// The client reads too slowly.
    TooSlow,
}

async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    last: bool,
    pace: &mut Pace,
) -> Sent {
    loop {
        stream.reserve_capacity(bytes.len());
        let free = match poll_fn(|cx| poll_free(stream, pace, cx)).await {
            Ok(free) => free.min(bytes.len()),
            Err(sent) => return sent,
        };
        pace.moved(free as u64);
        let part = bytes.split_to(free);
        if stream.send_data(part, last && bytes.is_empty()).is_err() {
            return Sent::GivenUp;
        }
        if bytes.is_empty() {
            return Sent::All;
        }
    }
}

/// How many bytes may be sent now, at least one.
fn poll_free(
    stream: &mut SendStream<Bytes>,
    pace: &mut Pace,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Sent>> {
    loop {
        match stream.capacity() {
            0 => {}
            free => return Poll::Ready(Ok(free)),
        }
        match stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => return Poll::Ready(Err(Sent::GivenUp)),
            Poll::Pending if pace.poll_late(cx).is_ready() => {
                return Poll::Ready(Err(Sent::TooSlow));
            }
            Poll::Pending => return Poll::Pending,
        }
    }
}
