//! A connection from accept to close: address limits, PROXY header, TLS, and hyper on top. Pingora
//! accepts and owns the listeners; it hands every connection to `process_new`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::http::{Listener, Peer, serve};
use crate::proxy_protocol;
use crate::wire::Wire;

/// HTTP/2: bytes that a client may send ahead on one stream, and on one connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2: requests of one connection at a time.
const STREAMS: u32 = 128;
/// HTTP/2: how often an idle connection is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a new connection's first request is waited for while draining.
const FIRST_REQUEST: Duration = Duration::from_millis(300);
/// How long an idle connection of a client that does not answer is kept while draining.
const LEAVE: Duration = Duration::from_secs(3);
/// HTTP/1.1: bytes buffered for reading, and for writing.
const BUFFER: usize = 128 << 10;
/// TLS: bytes encrypted before they are written, at most; fewer, larger writes wake the client less often.
const TLS_BUFFER: usize = 512 << 10;
/// Both, where more than [`WIDE`] connections are open.
const NARROW_BUFFER: usize = 64 << 10;
/// How many connections may be open for a new one to have the large buffers, which fill when a client is slow.
const WIDE: usize = 32;
/// HTTP/2: bytes buffered for writing, of one stream.
const SEND_BUFFER: usize = 128 << 10;

/// What Pingora hands connections to.
pub(crate) struct Connections {
    app: Arc<App>,
    tls: TlsAcceptor,
    /// Listeners other than the public one, by port.
    listeners: Vec<(SocketAddr, Listener)>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    open: Arc<AtomicUsize>,
}

impl Connections {
    pub(crate) fn new(
        app: Arc<App>,
        tls: TlsAcceptor,
        listeners: Vec<(SocketAddr, Listener)>,
    ) -> Self {
        Self {
            app,
            tls,
            listeners,
            by_address: Arc::default(),
            open: Arc::default(),
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> Arc<AtomicUsize> {
        self.open.clone()
    }

    fn listener(&self, local: Option<&SocketAddr>) -> Listener {
        let port = local.map(SocketAddr::port);
        let found = self
            .listeners
            .iter()
            .find(|(address, _)| Some(address.port()) == port);
        found.map_or(Listener::Public, |(_, listener)| *listener)
    }

    /// A place among the connections of an address; `None` where all are taken.
    fn place(&self, address: IpAddr) -> Option<Place> {
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(address).or_default();
        if *count >= self.app.config.limits.connections_per_address {
            return None;
        }
        *count += 1;
        Some(Place {
            address,
            by_address: self.by_address.clone(),
        })
    }

    async fn accept(&self, mut io: Stream, shutdown: ShutdownWatch) -> Result<(), &'static str> {
        let digest = io.get_socket_digest();
        let remote = digest
            .as_ref()
            .and_then(|digest| digest.peer_addr())
            .and_then(|a| a.as_inet().copied());
        let local = digest
            .as_ref()
            .and_then(|digest| digest.local_addr())
            .and_then(|a| a.as_inet().copied());
        let mut address = remote
            .map(|remote| remote.ip().to_canonical())
            .ok_or("no address")?;
        let listener = self.listener(local.as_ref());
        let mut trusted = self.app.trusts(address);
        let patience = Duration::from_secs(self.app.config.limits.handshake_secs);
        if trusted && self.app.config.server.proxy_protocol && listener != Listener::Metrics {
            let header = tokio::time::timeout(patience, proxy_protocol::read(&mut io)).await;
            if let Some(client) = header
                .map_err(|_| "PROXY header late")?
                .map_err(|_| "PROXY header bad")?
            {
                address = client.to_canonical();
                // From here on it is that address whose word counts.
                trusted = self.app.trusts(address);
            }
        }
        let _place = self.place(address).ok_or("too many connections")?;
        let peer = Arc::new(Peer {
            address,
            trusted,
            listener,
            wire: Arc::default(),
        });
        let io = self.writing_in_time(io);
        if listener == Listener::Public {
            let tls = tokio::time::timeout(patience, self.tls.accept(io)).await;
            let mut io = tls
                .map_err(|_| "TLS handshake late")?
                .map_err(|_| "TLS handshake failed")?;
            let (encrypted, plain) = self.buffers();
            io.get_mut().1.set_buffer_limit(Some(encrypted));
            let multiplexed = io.get_ref().1.alpn_protocol() == Some(b"h2");
            self.http(io, peer, multiplexed, plain, shutdown).await;
        } else {
            self.http(io, peer, false, BUFFER, shutdown).await;
        }
        Ok(())
    }

    /// Bytes that a new connection may have buffered, encrypted and before that.
    fn buffers(&self) -> (usize, usize) {
        match self.open.load(Ordering::Relaxed) {
            ..=WIDE => (TLS_BUFFER, BUFFER),
            _ => (NARROW_BUFFER, NARROW_BUFFER),
        }
    }

    /// Fails writes of which nothing goes out for too long. It is about the socket itself: what encryption
    /// takes in beforehand is nothing that a client has read. Reading has limits of its own: of the header,
    /// and of each body.
    fn writing_in_time(&self, io: Stream) -> Pin<Box<TimeoutStream<Stream>>> {
        let mut io = TimeoutStream::new(io);
        let idle = self.app.config.limits.idle_secs;
        io.set_write_timeout(Some(Duration::from_secs(idle)));
        Box::pin(io)
    }

    async fn http(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Arc<Peer>,
        multiplexed: bool,
        buffer: usize,
        mut shutdown: ShutdownWatch,
    ) {
        let limits = &self.app.config.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits.header_secs))
            .max_buf_size(buffer.max(limits.header_bytes));
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(KEEP_ALIVE);
        // What was negotiated is spoken; looking at the first bytes instead would have no time limit.
        let builder = if multiplexed {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let (app, wire) = (self.app.clone(), peer.wire.clone());
        let service = service_fn(move |request| serve(app.clone(), peer.clone(), request));
        let connection =
            builder.serve_connection(TokioIo::new(Wire::new(io, wire.clone())), service);
        let mut connection = std::pin::pin!(connection);
        // What goes wrong on a connection is the client's affair; answers are logged anyway.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = shutdown.wait_for(|down| *down) => {}
        }
        // Half a header is a request that will be answered; HTTP/1.1 would take the connection for idle.
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let asked = Instant::now();
        // So is the first one of a connection that was accepted a moment ago.
        let awaited = || wire.is_new() && asked.elapsed() < FIRST_REQUEST;
        while awaited() || (!multiplexed && wire.has_half_a_request()) {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = ticks.tick() => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        // Who asks for nothing gets a few seconds to take its leave.
        let mut idle = Instant::now();
        while idle.elapsed() < LEAVE {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = ticks.tick() => {}
            }
            if wire.is_serving() {
                idle = Instant::now();
            }
        }
    }
}

#[async_trait]
impl ServerApp for Connections {
    async fn process_new(self: &Arc<Self>, io: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open = Open::new(&self.open);
        self.app.metrics.connections.inc();
        if let Err(reason) = self.accept(io, shutdown.clone()).await {
            self.app.metrics.refused_connections.inc();
            tracing::debug!(reason, "a connection was refused");
        }
        self.app.metrics.connections.dec();
        None
    }
}

/// Counts a connection while it is open.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place among the connections of an address.
struct Place {
    address: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}
