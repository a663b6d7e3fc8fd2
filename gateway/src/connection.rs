//! A connection from accept to close: limits, PROXY header, TLS, and HTTP on top. Pingora accepts and owns the
//! listeners; it hands every connection to `process_new`.
//!
//! Until the first request arrives, each step has a time limit: `handshake_secs` each for the PROXY header and the
//! handshake, `header_secs` for the first header.

mod http1;
mod http2;
mod paced;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use certs::ClientCertificate;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use rustls::server::Acceptor;
use storage::budget::{Budget, Holder, Terms};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use self::http1::{HeadMemory, Heads};
use self::http2::Exchange;
use self::paced::Paced;
use crate::app::App;
use crate::challenge;
use crate::client_certificate::Shown;
use crate::http::answer::unreadable;
use crate::http::peer::{Listener, Peer};
use crate::http::request_body::{Inner, RequestBody};
use crate::http::response_body::Free;
use crate::proxy_protocol;
use crate::request::serve;
use crate::wire::{Wire, WireState};

/// How long to wait for a new connection's first request while draining.
const FIRST_REQUEST: Duration = Duration::from_millis(300);
/// How long to keep an idle connection of an unresponsive client while draining.
const LEAVE: Duration = Duration::from_secs(3);
/// HTTP/1.1: bytes buffered for reading, and for writing.
const BUFFER: usize = 128 << 10;
/// TLS: maximum number of bytes encrypted before they are written; fewer, larger writes wake the client less often.
const TLS_BUFFER: usize = 512 << 10;
/// Both, if more than [`WIDE`] connections are open.
const NARROW_BUFFER: usize = 64 << 10;
/// A new connection gets the large buffers only while at most this many are open: they fill when a client is slow.
const WIDE: usize = 32;
/// Maximum number of connections to the listeners for metrics and for the redirect, each.
const SIDE_CONNECTIONS: usize = 256;

/// Receives the connections of one listener from Pingora.
pub(crate) struct Connections {
    app: Arc<App>,
    listener: Listener,
    places: Arc<Budget>,
    open: Open,
}

/// The number of open connections of all listeners.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    /// Their number.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts one connection until the returned value is dropped.
    fn one_more(&self) -> Opened {
        self.0.fetch_add(1, Ordering::SeqCst);
        Opened(self.clone())
    }
}

/// An open connection.
struct Opened(Open);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connections {
    /// For the registry.
    pub(crate) fn public(app: Arc<App>, most: usize, open: Open) -> Self {
        let each = app.config.limits.connections_per_address;
        Self {
            app,
            listener: Listener::Public,
            places: Budget::new(Terms {
                most: each,
                ..most.into()
            }),
            open,
        }
    }

    /// For another listener, which has its own places.
    pub(crate) fn beside(app: Arc<App>, listener: Listener, open: Open) -> Self {
        Self {
            app,
            listener,
            places: Budget::new(SIDE_CONNECTIONS),
            open,
        }
    }

    async fn accept(&self, mut io: Stream, shutdown: ShutdownWatch) -> Result<(), &'static str> {
        let address = remote(&io).ok_or("no address")?.to_canonical();
        let address = self.behind_balancer(&mut io, address).await?;
        let trusted = self.app.trusts(address);
        // A balancer's connections are those of many clients.
        let holder = if trusted {
            Holder::default()
        } else {
            Holder::at(address)
        };
        let _place = self
            .places
            .try_take(holder, 1)
            .ok_or("too many connections")?;
        let wire: Arc<WireState> = Arc::default();
        let peer = |certificate| {
            Arc::new(Peer {
                address,
                free: Free::default(),
                trusted,
                listener: self.listener,
                wire: wire.clone(),
                certificate,
            })
        };
        let io = Paced::new(io, self.app.config.limits.least(), wire.clone());
        // Only the registry's own listener has TLS.
        if self.listener != Listener::Public {
            self.http1(io, peer(None), BUFFER, shutdown).await;
            return Ok(());
        }
        let shaking = self.shake_hands(io, holder);
        let mut io = tokio::time::timeout(self.handshake_time(), shaking)
            .await
            .unwrap_or(Err("TLS handshake late"))?;
        let (encrypted, plain) = self.buffers();
        io.get_mut().1.set_buffer_limit(Some(encrypted));
        if certs::was_challenge(io.get_ref().1.alpn_protocol()) {
            // The handshake was the answer.
            return Ok(());
        }
        let chain = io.get_ref().1.peer_certificates();
        let certificate = chain.and_then(ClientCertificate::new);
        let certificate = certificate.map(|certificate| Arc::new(Shown::new(certificate)));
        let peer = peer(certificate);
        // The negotiated protocol is used; reading the first bytes to find out would have no time limit.
        if io.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(io, peer, shutdown).await;
        } else {
            self.http1(io, peer, plain, shutdown).await;
        }
        Ok(())
    }

    /// Handshakes take memory and much processor time, so their number at a time is limited.
    async fn shake_hands(
        &self,
        io: Paced,
        holder: Holder,
    ) -> Result<TlsStream<Pin<Box<Paced>>>, &'static str> {
        let place = self.app.handshakes.take(holder, 1, self.handshake_time());
        let _place = place.await.map_err(|_| "too many TLS handshakes")?;
        let failed = |_| "TLS handshake failed";
        let hello = LazyConfigAcceptor::new(Acceptor::default(), Box::pin(io));
        let hello = hello.await.map_err(failed)?;
        let config = match certs::challenged_name(&hello.client_hello()) {
            None => self.app.tls.config(),
            Some(name) => Box::pin(challenge::config(&self.app, &name))
                .await
                .ok_or("no ACME challenge for the name")?,
        };
        hello.into_stream(config).await.map_err(failed)
    }

    /// Places for reading the last bytes of a closed connection. A balancer's connections are those of many clients.
    fn closing(&self, peer: &Peer) -> (Arc<Budget>, Holder) {
        let holder = match peer.trusted {
            true => Holder::default(),
            false => Holder::at(peer.address),
        };
        (self.app.closing.clone(), holder)
    }

    /// The client's address from a balancer's PROXY header, which is used from there on.
    async fn behind_balancer(
        &self,
        io: &mut Stream,
        address: IpAddr,
    ) -> Result<IpAddr, &'static str> {
        let expected = self.app.config.server.proxy_protocol && self.listener != Listener::Metrics;
        if !expected || !self.app.trusts(address) {
            return Ok(address);
        }
        let client = tokio::time::timeout(self.handshake_time(), proxy_protocol::read(io))
            .await
            .map_err(|_| "PROXY header late")?
            .map_err(|_| "PROXY header bad")?;
        Ok(client.map_or(address, |client| client.to_canonical()))
    }

    fn handshake_time(&self) -> Duration {
        Duration::from_secs(self.app.config.limits.handshake_secs)
    }

    fn header_time(&self) -> Duration {
        Duration::from_secs(self.app.config.limits.header_secs)
    }

    /// Maximum number of bytes that a new connection buffers, encrypted and before encryption.
    fn buffers(&self) -> (usize, usize) {
        match self.open.count() {
            ..=WIDE => (TLS_BUFFER, BUFFER),
            _ => (NARROW_BUFFER, NARROW_BUFFER),
        }
    }

    async fn http1(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Arc<Peer>,
        buffer: usize,
        shutdown: ShutdownWatch,
    ) {
        let limits = &self.app.config.limits;
        let wire = peer.wire.clone();
        let memory = HeadMemory {
            budget: self.app.registry.memory().short().clone(),
            // Balancers are limited too, so that their clients leave something for others.
            holder: Holder::at(peer.address),
            bytes: limits.header_bytes,
        };
        let (listener, clock) = (peer.listener, self.app.clock.clone());
        let answer = move |status| unreadable(status, listener, clock.now());
        let io = Wire::new(io, wire.clone(), self.closing(&peer));
        let io = Heads::new(io, wire, memory, answer);
        let (app, served) = (self.app.clone(), peer.clone());
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (app, peer) = (app.clone(), served.clone());
            let holder = Holder::at(peer.client(&app, request.headers()));
            let (parts, body) = request.into_parts();
            let body = Inner::http1(body, &parts.headers, &peer);
            let body = RequestBody::new(body, app.clone(), peer.clone(), holder);
            let request = http::Request::from_parts(parts, body);
            async move { Ok::<_, Infallible>(serve(app, peer, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_time())
            .max_buf_size(buffer.max(limits.header_bytes))
            .serve_connection(TokioIo::new(io), service);
        drive(connection, &peer, shutdown).await;
    }

    async fn http2(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Arc<Peer>,
        mut shutdown: ShutdownWatch,
    ) {
        let limits = &self.app.config.limits;
        let settings = http2::Settings {
            header_bytes: limits.header_bytes,
            idle: self.header_time(),
        };
        let (app, served) = (self.app.clone(), peer.clone());
        let make = move |exchange| exchange_on(app.clone(), served.clone(), exchange);
        let io = Wire::new(io, peer.wire.clone(), self.closing(&peer));
        let memory = self.app.registry.memory().bulk().clone();
        let shaking = http2::accept(io, memory, settings, make);
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.header_time(), shaking) => shaken,
            () = down_for_a_while(&mut shutdown) => return,
        };
        if let Ok(Ok(connection)) = shaken {
            drive(connection, &peer, shutdown).await;
        }
    }
}

/// Serves one request of an HTTP/2 connection, unless too many of this source are running. Over HTTP/1.1 the limits of
/// connections also limit requests.
async fn exchange_on(app: Arc<App>, peer: Arc<Peer>, exchange: Exchange) {
    let address = peer.client(&app, exchange.request.headers());
    let holder = Holder::at(address);
    let Some(_place) = app.streams.try_take(holder, 1) else {
        return exchange.refuse();
    };
    let least = app.config.limits.least();
    let work = |request: http::Request<Inner>| {
        let request = request.map(|body| RequestBody::new(body, app.clone(), peer.clone(), holder));
        serve(app, peer, request)
    };
    exchange.serve(least, work).await;
}

fn remote(io: &Stream) -> Option<IpAddr> {
    let socket = io.get_socket_digest()?;
    let address: SocketAddr = *socket.peer_addr()?.as_inet()?;
    Some(address.ip())
}

/// Ready when the process is shutting down and the first request has had its time to arrive.
async fn down_for_a_while(shutdown: &mut ShutdownWatch) {
    // An error means that the sender is gone.
    let _ = shutdown.wait_for(|down| *down).await;
    tokio::time::sleep(FIRST_REQUEST).await;
}

/// A connection that is served while it is awaited.
trait Serving: Future {
    /// Whether several requests run at a time (HTTP/2).
    const MULTIPLEXED: bool;

    /// Tells the client to send no more requests; those already sent are still answered.
    fn leave(self: Pin<&mut Self>);
}

impl<T, S> Serving for hyper::server::conn::http1::Connection<T, S>
where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = crate::http::response_body::Body,
            Error = Infallible,
        >,
    T: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    const MULTIPLEXED: bool = false;

    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves a connection to its end, which comes soon once the process is shutting down.
async fn drive<S: Serving>(connection: S, peer: &Peer, mut shutdown: ShutdownWatch) {
    let wire = &peer.wire;
    let mut connection = std::pin::pin!(connection);
    // Errors on a connection are the client's; answers are logged anyway.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = shutdown.wait_for(|down| *down) => {}
    }
    // A request with an incomplete header will still be answered; HTTP/1.1 would take the connection for idle.
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let asked = Instant::now();
    // So will the first request of a connection accepted a moment ago.
    let awaited = || wire.is_new() && asked.elapsed() < FIRST_REQUEST;
    while awaited() || (!S::MULTIPLEXED && wire.has_half_a_request()) {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = ticks.tick() => {}
        }
    }
    connection.as_mut().leave();
    // A client without requests gets a few seconds to close.
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

#[async_trait]
impl ServerApp for Connections {
    async fn process_new(self: &Arc<Self>, io: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _opened = self.open.one_more();
        self.app.metrics.connections.inc();
        if let Err(reason) = self.accept(io, shutdown.clone()).await {
            self.app.metrics.refused_connections.inc();
            tracing::debug!(reason, "a connection was refused");
        }
        self.app.metrics.connections.dec();
        None
    }
}
