//! A TCP balancer of our own: every connection goes to the next backend, behind a PROXY protocol header
//! (version 1) that names the client. One that refuses is passed over.
//!
//! A stage runs it as a process, `xtask balancer LISTEN BACKEND...`, so that it can live in a network
//! namespace.

use std::collections::HashMap;
use std::env;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::daemon::Daemon;
use crate::netns::Namespace;

/// A running balancer; dropping it ends the listener and all connections.
pub(crate) struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Balancer {
    /// Listens on `address` for connections to `backends`.
    pub(crate) fn start(address: SocketAddr, backends: &[SocketAddr]) -> Result<Self, String> {
        let failed = |error| format!("the balancer cannot listen on {address}: {error}");
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(backends));
        let own = Arc::clone(&shared);
        let listener = thread::spawn(move || accept(&listener, &own));
        Ok(Self {
            address,
            shared,
            listener: Some(listener),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections each backend has taken so far.
    pub(crate) fn connections(&self) -> Vec<u64> {
        let count = |backend: &Backend| backend.taken.load(Ordering::Relaxed);
        self.shared.backends.iter().map(count).collect()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // The listener looks at the flag when it has accepted something.
        TcpStream::connect(self.address).ok();
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
        for (client, server) in self.shared.open().values() {
            client.shutdown(Shutdown::Both).ok();
            server.shutdown(Shutdown::Both).ok();
        }
    }
}

struct Backend {
    address: SocketAddr,
    taken: AtomicU64,
}

/// What the listener and the connections share.
struct Shared {
    backends: Vec<Backend>,
    next: AtomicUsize,
    stopped: AtomicBool,
    ids: AtomicU64,
    open: Mutex<HashMap<u64, (TcpStream, TcpStream)>>,
}

impl Shared {
    fn new(backends: &[SocketAddr]) -> Self {
        let backend = |&address| Backend {
            address,
            taken: AtomicU64::new(0),
        };
        Self {
            backends: backends.iter().map(backend).collect(),
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            ids: AtomicU64::new(0),
            open: Mutex::new(HashMap::new()),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, (TcpStream, TcpStream)>> {
        // Whoever panicked left a whole map behind.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the next backend that takes one.
    fn connect(&self) -> io::Result<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for step in 0..self.backends.len() {
            let backend = &self.backends[(first + step) % self.backends.len()];
            match TcpStream::connect_timeout(&backend.address, CONNECT) {
                Ok(stream) => {
                    backend.taken.fetch_add(1, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// How long a backend may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, peer)) = listener.accept() {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // A connection that fails is the client's to notice: it is closed.
        thread::spawn(move || serve(client, peer, &shared).ok());
    }
}

fn serve(client: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    let server = shared.connect()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let header = header(peer, client.local_addr()?);
    io::Write::write_all(&mut &server, header.as_bytes())?;
    let id = shared.ids.fetch_add(1, Ordering::Relaxed);
    let pair = (client.try_clone()?, server.try_clone()?);
    shared.open().insert(id, pair);
    if shared.stopped.load(Ordering::Relaxed) {
        // Too late for the end to have seen this one.
        shared.open().remove(&id);
        return Ok(());
    }
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || copy(from, to));
    copy(server, client);
    up.join().ok();
    shared.open().remove(&id);
    Ok(())
}

/// Copies to the end of one direction and hands the end on; the other direction stays open.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        to.shutdown(Shutdown::Write).ok();
        return;
    }
    // Broken off rather than ended: so the other side has to see it too.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// The PROXY protocol's header, version 1.
fn header(client: SocketAddr, here: SocketAddr) -> String {
    let (source, target) = (client.ip().to_canonical(), here.ip().to_canonical());
    let family = match (source, target) {
        (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
        (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
        _ => return "PROXY UNKNOWN\r\n".to_owned(),
    };
    let (from, to) = (client.port(), here.port());
    format!("PROXY {family} {source} {target} {from} {to}\r\n")
}

/// The hidden sub-command: balances until it is killed, and says at each change how many connections
/// each backend took.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let address = |text: &String| text.parse().map_err(|error| format!("{text}: {error}"));
    let addresses: Vec<SocketAddr> = args.iter().map(address).collect::<Result<_, _>>()?;
    let [listen, backends @ ..] = &addresses[..] else {
        return Err("balancer takes LISTEN BACKEND...".to_owned());
    };
    let balancer = Balancer::start(*listen, backends)?;
    println!("{LISTENS}{}", balancer.address());
    let mut last = Vec::new();
    loop {
        let now = balancer.connections();
        if now != last {
            let counts: Vec<String> = now.iter().map(u64::to_string).collect();
            println!("{TOOK}{}", counts.join(" "));
            last = now;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

const LISTENS: &str = "listens on ";
const TOOK: &str = "connections ";

/// The balancer as a process of its own. Dropping it ends it.
pub(crate) struct Process(Daemon);

impl Process {
    /// Starts it, in `namespace` if there is one, and waits until it listens.
    pub(crate) fn start(
        namespace: Option<&Namespace>,
        listen: &str,
        backends: &[&str],
        log: &Path,
    ) -> Result<Self, String> {
        let own = env::current_exe().map_err(|error| format!("cannot find xtask: {error}"))?;
        let mut command = match namespace {
            Some(namespace) => namespace.command(own),
            None => Command::new(own),
        };
        command.args(["balancer", listen]).args(backends);
        let mut daemon = Daemon::start("balancer", command, log)?;
        let said = log.to_owned();
        daemon.wait_until(Duration::from_secs(10), || {
            std::fs::read_to_string(&said).is_ok_and(|text| text.contains(LISTENS))
        })?;
        Ok(Self(daemon))
    }

    /// How many connections each backend took, a moment ago.
    pub(crate) fn connections(&self) -> Vec<u64> {
        last_counts(&self.0.log())
    }
}

fn last_counts(log: &str) -> Vec<u64> {
    let last = log.lines().rev().find_map(|line| line.strip_prefix(TOOK));
    let words = last.unwrap_or_default().split(' ');
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests;
