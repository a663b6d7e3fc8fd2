//! A TCP proxy of our own that fails as it is told, for between a server and its database or its store.
//! What it does is changed while connections are open; bytes are handed on in `lane`,
//! requests of HTTP in `http`.
//!
//! The balancer in front of servers is `balancer`.

mod http;
mod lane;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::port::lasting_port;
pub use http::{Reply, Rule};

/// What becomes of connections.
#[derive(Clone)]
pub enum Mode {
    Pass,
    /// Open connections are cut, and nobody listens.
    Refuse,
    /// Connections are taken, and nothing comes through; what was held back does when this ends.
    Silence,
    /// Every piece waits.
    Delay(Duration),
    /// So many bytes a second, each way.
    Throttle(u64),
    /// A connection is cut after so many bytes of answers; so many connections are.
    CutAnswer {
        after: u64,
        times: u32,
    },
    /// The same for bytes of requests.
    CutRequest {
        after: u64,
        times: u32,
    },
    /// After so many bytes of answers a connection is silent.
    StallAnswer {
        after: u64,
    },
    /// What holds this text is handed on, and the connection is cut where the answer comes.
    LoseAnswer(&'static str),
    /// What holds this text is handed on, and from then on the connection is silent.
    SilenceAfter(&'static str),
    /// Requests of HTTP are answered here.
    Answer(Rule),
}

impl Mode {
    /// Whether this begins with new connections. What is sent once per connection, such as the text of a
    /// prepared statement, then goes by.
    fn begins_anew(&self) -> bool {
        matches!(
            self,
            Self::Refuse | Self::Answer(_) | Self::LoseAnswer(_) | Self::SilenceAfter(_)
        )
    }
}

/// A running proxy; dropping it ends the listener and all connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of loopback for connections to `target`, `HOST:PORT`.
    pub fn start(target: &str) -> Result<Self, String> {
        let target = target.parse().map_err(|e| format!("{target}: {e}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], lasting_port()?));
        let failed = |error| format!("the proxy cannot listen on {address}: {error}");
        let listener = listen(address).map_err(failed)?;
        let shared = Arc::new(Shared::new(target));
        let own = Arc::clone(&shared);
        Ok(Self {
            address,
            shared,
            listener: Some(thread::spawn(move || accept(address, listener, &own))),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done from now on. Counts begin anew, those of open connections too.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state();
        let anew = mode.begins_anew() || matches!(state.mode, Mode::Answer(_));
        state.mode = mode;
        state.generation += 1;
        self.shared.struck.store(0, Ordering::Relaxed);
        drop(state);
        if anew {
            self.shared.cut_all();
        }
    }

    /// How often something was done to a connection since the last [`Proxy::set`]; refused connections
    /// are nowhere seen and not counted.
    pub fn struck(&self) -> u32 {
        self.shared.struck.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
        self.shared.cut_all();
    }
}

struct State {
    mode: Mode,
    /// Counts changes of the mode.
    generation: u64,
}

/// What the listener and the connections share.
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    struck: AtomicU32,
    stopped: AtomicBool,
    ids: AtomicU64,
    open: Mutex<HashMap<u64, [TcpStream; 2]>>,
}

impl Shared {
    fn new(target: SocketAddr) -> Self {
        Self {
            target,
            state: Mutex::new(State {
                mode: Mode::Pass,
                generation: 1,
            }),
            struck: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            ids: AtomicU64::new(0),
            open: Mutex::new(HashMap::new()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left a whole state behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> (Mode, u64) {
        let state = self.state();
        (state.mode.clone(), state.generation)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, [TcpStream; 2]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut_all(&self) {
        for stream in self.open().values().flatten() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts a stroke, unless there were `times` already.
    fn strike(&self, times: u32) -> bool {
        let more = |count| (count < times).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.struck.fetch_update(order, order, more).is_ok()
    }
}

/// How often a change of the mode is looked for.
const POLL: Duration = Duration::from_millis(5);

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(address: SocketAddr, listener: TcpListener, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    while !shared.stopped() {
        if matches!(shared.now().0, Mode::Refuse) {
            listener = None;
        } else if listener.is_none() {
            listener = listen(address).ok();
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => {
                let shared = Arc::clone(shared);
                // A connection that fails is the client's to notice: it is closed.
                thread::spawn(move || serve(client, &shared).ok());
            }
            _ => thread::sleep(POLL),
        }
    }
}

fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect_timeout(&shared.target, CONNECT)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let id = shared.ids.fetch_add(1, Ordering::Relaxed);
    let pair = [client.try_clone()?, server.try_clone()?];
    shared.open().insert(id, pair);
    if !shared.stopped() {
        match shared.now().0 {
            Mode::Answer(rule) => http::serve(&client, &server, &rule, shared).unwrap_or(()),
            _ => lane::pass(&client, &server, shared),
        }
    }
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
    shared.open().remove(&id);
    Ok(())
}

/// How long the target may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
