//! Connections for downloads. The reader of a body drives its connection itself, so that bytes do not pass between
//! tasks. While a reader waits, the kernel gathers bytes before waking it: many for the first downloads, few for all
//! others, so that slow readers do not hold much memory.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioIo;
use nix::libc;
use nix::sys::socket::SetSockOpt as _;
use nix::{setsockopt_impl, sockopt_impl};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

use crate::Cause;

/// Maximum bytes that a connection gathers and reads at a time. Larger is cheaper, as measured from 64 KiB to 2 MiB,
/// but a download with a slow reader holds twice as many.
const GATHER: usize = 1 << 20;
/// The minimum, and the unit of the shared amount.
const GATHER_LITTLE: usize = 64 << 10;
/// Bytes that all connections together may gather beyond the minimum.
const ROOM: usize = 16 << 20;
/// Maximum fraction of the free amount that a new connection takes.
const SHARE: usize = 8;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Maximum number of idle connections.
const KEPT: usize = 32;

sockopt_impl!(
    /// Sets how many bytes must have arrived before a socket is readable; `socket(7)`.
    ReceiveLow,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    libc::c_int
);

/// The client of downloads: HTTP/1.1, requests without a body.
#[derive(Clone)]
pub(super) struct Downloads {
    connector: HttpsConnector<TcpConnector>,
    kept: Kept,
    /// The free part of [`ROOM`], in units of [`GATHER_LITTLE`].
    room: Arc<Semaphore>,
}

/// Idle connections, newest last.
type Kept = Arc<Mutex<Vec<(Instant, Connection)>>>;

impl Downloads {
    pub(super) fn new(connector: HttpsConnector<TcpConnector>) -> Self {
        Self {
            connector,
            kept: Kept::default(),
            room: Arc::new(Semaphore::new(ROOM / GATHER_LITTLE)),
        }
    }

    async fn send(mut self, mut request: Request<()>) -> Result<HttpResponse, Cause> {
        let uri = origin_form(&mut request)?;
        while let Some(connection) = self.kept() {
            // The server may have closed it while it was idle.
            if let Ok(answer) = connection.send(&request, &self.kept).await {
                return Ok(answer);
            }
        }
        poll_fn(|cx| self.connector.poll_ready(cx)).await?;
        let stream = self.connector.call(uri).await?;
        let room = self.room.clone().try_acquire_many_owned(self.share()).ok();
        let connection = Connection::new(stream, room).await?;
        connection.send(&request, &self.kept).await
    }

    /// The share of [`ROOM`] that a new connection may take.
    fn share(&self) -> u32 {
        let most = GATHER / GATHER_LITTLE;
        (self.room.available_permits() / SHARE).min(most) as u32
    }

    /// The most recently used connection that is not too old and gathers as much as a new one would.
    fn kept(&self) -> Option<Connection> {
        let share = self.share();
        let mut kept = self.kept.lock();
        kept.retain(|(since, _)| since.elapsed() < IDLE);
        let enough = |connection: &Connection| connection.room() >= share as usize;
        let index = kept
            .iter()
            .rposition(|(_, connection)| enough(connection))?;
        Some(kept.remove(index).1)
    }
}

impl fmt::Debug for Downloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloads").finish_non_exhaustive()
    }
}

impl HttpClient for Downloads {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Downloads {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request.map(|_| ()),
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let sending = self.clone().send(request);
        HttpConnectorFuture::new(async move { sending.await.map_err(ConnectorError::io) })
    }
}

/// Reduces the request target to path and query, and sets `Host` as it was signed, without the scheme's default port;
/// RFC 9112, section 3.2.
fn origin_form(request: &mut Request<()>) -> Result<Uri, Cause> {
    let path = request
        .uri()
        .path_and_query()
        .ok_or("a URL without a path")?;
    let path = Uri::from(path.clone());
    let uri = std::mem::replace(request.uri_mut(), path);
    let host = uri.host().ok_or("a URL without a host")?;
    let host = match (uri.scheme_str(), uri.port_u16()) {
        (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443)) => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
    };
    let host = HeaderValue::try_from(host)?;
    request.headers_mut().entry(HOST).or_insert(host);
    Ok(uri)
}

fn units(room: &Option<OwnedSemaphorePermit>) -> usize {
    room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
}

/// A connection, which makes progress only while it is driven.
struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: http1::Connection<Stream, Empty<Bytes>>,
    /// The driver has ended and must not be polled again.
    over: bool,
    /// Bytes of the body that its reader has not received; 0 if unknown.
    left: Arc<AtomicU64>,
    /// Its share of [`ROOM`].
    room: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn new(
        stream: MaybeHttpsStream<TokioIo<TcpStream>>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, Cause> {
        let left = Arc::new(AtomicU64::new(0));
        let gather = GATHER_LITTLE * units(&room).max(1);
        let stream = Stream {
            stream,
            left: left.clone(),
            gather,
            low: 1,
        };
        let (sender, driver) = http1::Builder::new()
            .read_buf_exact_size(Some(gather))
            .handshake(stream)
            .await?;
        Ok(Self {
            sender,
            driver,
            over: false,
            left,
            room,
        })
    }

    fn room(&self) -> usize {
        units(&self.room)
    }

    /// Sends a request; the response body owns the connection.
    async fn send(mut self, request: &Request<()>, kept: &Kept) -> Result<HttpResponse, Cause> {
        poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        })
        .await?;
        let request = request.clone().map(|()| Empty::new());
        let mut answer = pin!(self.sender.send_request(request));
        let answer = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        });
        let answer = answer.await?.map(|body| Download::new(body, self, kept));
        Ok(HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))?)
    }

    /// Drives the connection. An error that ends it is also reported to sender and body.
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.over = self.over || Pin::new(&mut self.driver).poll(cx).is_ready();
    }
}

/// A body with its connection.
struct Download {
    body: Incoming,
    connection: Option<Connection>,
    kept: Kept,
}

impl Download {
    fn new(body: Incoming, connection: Connection, kept: &Kept) -> Self {
        let mut download = Self {
            body,
            connection: Some(connection),
            kept: kept.clone(),
        };
        download.count();
        download
    }

    /// Reports the remaining bytes, and keeps the connection if there are none.
    fn count(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let left = self.body.size_hint().exact().unwrap_or(0);
        connection.left.store(left, Ordering::Relaxed);
        if self.body.is_end_stream()
            && let Some(connection) = self.connection.take_if(|connection| !connection.over)
        {
            let mut kept = self.kept.lock();
            if kept.len() < KEPT {
                kept.push((Instant::now(), connection));
            }
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(connection) = &mut self.connection
        {
            connection.drive(cx);
            polled = Pin::new(&mut self.body).poll_frame(cx);
        }
        if polled.is_ready() {
            self.count();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose reader is woken when enough bytes have arrived, or the rest of the body. Under TLS the size of the
/// rest is unknown.
struct Stream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    left: Arc<AtomicU64>,
    /// The number of bytes to wait for.
    gather: usize,
    /// The value last set in the kernel.
    low: u64,
}

impl Stream {
    fn gather(&mut self) {
        let MaybeHttpsStream::Http(tcp) = &self.stream else {
            return;
        };
        let low = self
            .left
            .load(Ordering::Relaxed)
            .clamp(1, self.gather as u64);
        if low != self.low && ReceiveLow.set(tcp.inner(), &(low as libc::c_int)).is_ok() {
            self.low = low;
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_pending() {
            self.gather();
        }
        polled
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
