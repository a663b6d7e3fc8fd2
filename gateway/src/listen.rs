//! Listening sockets: all are bound before anything else, then given to Pingora, which accepts.

use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use pingora::services::listening;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::hand_over::Socket;
use crate::http::peer::Listener;

/// Connections that wait to be accepted at most, as of the standard library's sockets.
const BACKLOG: i32 = 128;

/// The addresses to listen on, the purpose of each, and the key that sets it.
pub(crate) fn addresses(config: &Config) -> Vec<(Listener, SocketAddr, &'static str)> {
    let server = &config.server;
    let redirect = config.redirect_listen().ok().flatten();
    let mut addresses = vec![
        (Listener::Public, server.listen, "[server] listen"),
        (
            Listener::Metrics,
            server.metrics_listen,
            "[server] metrics_listen",
        ),
    ];
    addresses
        .extend(redirect.map(|address| (Listener::Redirect, address, "[server] redirect_listen")));
    addresses
}

/// Binds all addresses.
///
/// # Errors
/// Which address cannot be bound, and why.
pub(crate) fn bind(config: &Config) -> anyhow::Result<Vec<Socket>> {
    let bound = addresses(config)
        .into_iter()
        .map(|(_, address, key)| bind_one(address, key).map(|socket| (address, socket)));
    bound.collect()
}

/// Like [`bind`], but addresses in use are left for the previous process to hand over.
///
/// # Errors
/// Which address cannot be bound for another reason.
pub(crate) fn bind_new(config: &Config) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for (_, address, key) in addresses(config) {
        match bind_one(address, key) {
            Ok(socket) => sockets.push((address, socket)),
            Err(error) if is_in_use(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

/// The sockets of all addresses: those bound here and those handed over.
///
/// # Errors
/// Which socket is missing, or which one of the previous process would no longer be served.
pub(crate) fn complete(
    config: &Config,
    bound: Vec<Socket>,
    handed_over: Vec<Socket>,
) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = bound;
    let wanted = addresses(config);
    let is_wanted = |given: &SocketAddr| wanted.iter().any(|(_, address, _)| address == given);
    let handed_over = handed_over.into_iter().map(|(given, socket)| {
        let address = match is_wanted(&given) {
            true => given,
            false => as_of_today(config, given),
        };
        (address, socket)
    });
    let handed_over: Vec<Socket> = handed_over.collect();
    if let Some((left, _)) = handed_over.iter().find(|(given, _)| !is_wanted(given)) {
        anyhow::bail!(
            "the old process listens on {left}, which is none of [server] listen, metrics_listen and redirect_listen \
             here: a successor takes over all addresses unchanged. To change one, stop the old process and start again"
        );
    }
    for (_, address, key) in wanted {
        if sockets.iter().any(|(bound, _)| *bound == address) {
            continue;
        }
        let found = handed_over.iter().find(|(given, _)| *given == address);
        let (_, socket) = found.with_context(|| {
            format!(
                "{key}: {address} is in use, but was not handed over: set it as in the old process"
            )
        })?;
        sockets.push((address, socket.try_clone()?));
    }
    Ok(sockets)
}

/// The address of a socket of the process before. The default was once that of all networks of IPv4: such a socket serves
/// as the default of today until the next start.
fn as_of_today(config: &Config, given: SocketAddr) -> SocketAddr {
    let default = Config::default().server.listen;
    if config.server.listen != default || given != all_of_ipv4(default.port()) {
        return given;
    }
    tracing::info!(address = %given, "the old process listens on IPv4 alone: so does this one until the next start");
    default
}

/// All networks of IPv4.
fn all_of_ipv4(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

fn bind_one(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    bind_with(bind_socket, address, key)
}

/// Binds an address. That of all networks takes IPv4 too, whatever the machine's `net.ipv6.bindv6only` says.
fn bind_socket(address: SocketAddr) -> std::io::Result<TcpListener> {
    if address.ip() != Ipv6Addr::UNSPECIFIED {
        return TcpListener::bind(address);
    }
    let (family, kind) = (AddressFamily::INET6, SocketType::STREAM);
    let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Binds an address. The default one is that of all networks: without IPv6 those of IPv4. Whoever names an address of IPv6
/// learns that there is none.
fn bind_with(
    bind: impl Fn(SocketAddr) -> std::io::Result<TcpListener>,
    address: SocketAddr,
    key: &str,
) -> anyhow::Result<TcpListener> {
    let error = match bind(address) {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    let all = all_of_ipv4(address.port());
    let failed = format!("{key}: cannot listen on {address}");
    if !(address.is_ipv6() && is_without_ipv6(&error)) {
        return Err(error).context(failed);
    }
    if address == Config::default().server.listen {
        tracing::info!(address = %all, key, "this machine has no IPv6: listening on IPv4 alone");
        return bind(all).with_context(|| format!("{key}: cannot listen on {all}"));
    }
    Err(error).context(format!(
        "{failed}, since this machine does not have that address, or no IPv6 at all: write {all} for IPv4"
    ))
}

fn is_without_ipv6(error: &Error) -> bool {
    error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == ErrorKind::AddrNotAvailable
}

fn is_in_use(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// A Pingora service whose socket is already bound.
pub(crate) struct Listening<A> {
    service: listening::Service<A>,
    address: SocketAddr,
    socket: Option<TcpListener>,
    /// Closes the listener, in place of Pingora's signal.
    closed_by: Option<ShutdownWatch>,
    /// Receives a permit when the service starts.
    started: Arc<Semaphore>,
}

/// A listener whose connections have no read buffer: they get one while they read an upload.
fn plain(address: SocketAddr) -> ListenerConfig {
    let buffers = L4BufferSettings::default().read(0);
    ListenerConfig::tcp(address.to_string()).l4_buffer(buffers)
}

impl<A> Listening<A> {
    /// A service for the connections of a socket.
    ///
    /// # Errors
    /// If the socket cannot be used.
    pub(crate) fn new(
        name: &str,
        app: A,
        (address, socket): &Socket,
        started: Arc<Semaphore>,
    ) -> anyhow::Result<Self> {
        let socket = socket.try_clone()?;
        // Pingora expects this.
        socket.set_nonblocking(true)?;
        let mut service = listening::Service::new(name.to_owned(), app);
        service.add_listener(plain(*address));
        Ok(Self {
            service,
            address: *address,
            socket: Some(socket),
            closed_by: None,
            started,
        })
    }

    /// Serves on this many threads of its own.
    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.service.threads = Some(threads);
        self
    }

    /// Listens until `closed_by` ends it, not until the process is asked to stop.
    pub(crate) fn until(mut self, closed_by: ShutdownWatch) -> Self {
        self.closed_by = Some(closed_by);
        self
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Service for Listening<A> {
    async fn start_service(
        &mut self,
        sockets: Option<ListenFds>,
        shutdown: ShutdownWatch,
        tasks: usize,
    ) {
        if let (Some(sockets), Some(socket)) = (&sockets, self.socket.take()) {
            let descriptor = socket.into_raw_fd();
            sockets.lock().add(self.address.to_string(), descriptor);
        }
        self.started.add_permits(1);
        let shutdown = self.closed_by.clone().unwrap_or(shutdown);
        self.service.start_service(sockets, shutdown, tasks).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.metrics_listen = "127.0.0.1:0".parse().unwrap();
        config
    }

    #[test]
    fn an_address_in_use_is_named_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = config();
        config.server.metrics_listen = taken.local_addr().unwrap();
        let error = format!("{:#}", bind(&config).unwrap_err());
        for part in [
            "[server] metrics_listen",
            &taken.local_addr().unwrap().to_string(),
            "in use",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_foreign_address_is_named_with_its_key_also_at_a_take_over() {
        let mut config = config();
        config.server.listen = "192.0.2.1:8443".parse().unwrap();
        for bound in [bind(&config), bind_new(&config)] {
            let error = format!("{:#}", bound.unwrap_err());
            assert!(
                error.contains("[server] listen: cannot listen on 192.0.2.1:8443"),
                "{error}"
            );
        }
    }

    #[test]
    fn without_ipv6_the_default_is_ipv4_and_a_configured_address_is_named() {
        let no_ipv6 = |address: SocketAddr| match address.is_ipv6() {
            true => Err(Errno::AFNOSUPPORT.into()),
            false => {
                assert_eq!(address, SocketAddr::from(([0, 0, 0, 0], 8443)));
                TcpListener::bind("127.0.0.1:0")
            }
        };
        let default = Config::default().server.listen;
        assert_eq!(default.to_string(), "[::]:8443");
        bind_with(no_ipv6, default, "[server] listen").unwrap();
        let configured = "[::]:443".parse().unwrap();
        let error = bind_with(no_ipv6, configured, "[server] listen").unwrap_err();
        let error = format!("{error:#}");
        for part in [
            "[server] listen",
            "[::]:443",
            "no IPv6",
            "write 0.0.0.0:443",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_address_of_all_networks_is_one_of_ipv4_too() {
        let bound = bind_socket("[::]:0".parse().unwrap());
        // A machine without IPv6 has no such address.
        if bound.as_ref().is_err_and(is_without_ipv6) {
            return;
        }
        let socket = bound.unwrap();
        assert!(!sockopt::ipv6_v6only(&socket).unwrap());
        let port = socket.local_addr().unwrap().port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn the_socket_of_the_default_of_old_serves_as_that_of_today() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let default = Config::default();
        let old = all_of_ipv4(default.server.listen.port());
        let handed_over = || vec![(old, socket()), (default.server.metrics_listen, socket())];
        let sockets = complete(&default, Vec::new(), handed_over()).unwrap();
        let addresses: Vec<SocketAddr> = sockets.iter().map(|(address, _)| *address).collect();
        let wanted = [default.server.listen, default.server.metrics_listen];
        assert_eq!(addresses, wanted);
        // Whoever configures another address is told that it is another one.
        let mut other = default.clone();
        other.server.listen = "[::1]:8443".parse().unwrap();
        let error = complete(&other, Vec::new(), handed_over()).unwrap_err();
        assert!(error.to_string().contains(&old.to_string()), "{error}");
    }

    #[test]
    fn a_successor_takes_what_is_in_use_from_the_process_before() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let mut config = config();
        config.server.listen = address;
        let bound = bind_new(&config).unwrap();
        assert_eq!(bound.len(), 1);
        let error = complete(&config, bound, Vec::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("not handed over"), "{error}");
        let bound = bind_new(&config).unwrap();
        let handed_over = vec![(address, taken.try_clone().unwrap())];
        let sockets = complete(&config, bound, handed_over).unwrap();
        assert!(sockets.iter().any(|(bound, _)| *bound == address));
        let other = Config::default();
        let error = complete(&other, Vec::new(), vec![(address, taken)]).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
