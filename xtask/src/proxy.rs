//! A TCP proxy of our own that fails as it is told, for between a server and its database or its store.
//! What it does is changed while connections are open; what it knows of HTTP is in `http`.
//!
//! The balancer in front of servers is `balancer`.

mod http;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::port::lasting_port;
pub(crate) use http::{Reply, Rule};

/// What becomes of connections.
#[derive(Clone)]
pub(crate) enum Mode {
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
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of loopback for connections to `target`, `HOST:PORT`.
    pub(crate) fn start(target: &str) -> Result<Self, String> {
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

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done from now on. Counts begin anew, those of open connections too.
    pub(crate) fn set(&self, mode: Mode) {
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
    pub(crate) fn struck(&self) -> u32 {
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
            _ => pass(&client, &server, shared),
        }
    }
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
    shared.open().remove(&id);
    Ok(())
}

/// How long the target may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

/// Hands bytes on in both directions.
fn pass(client: &TcpStream, server: &TcpStream, shared: &Shared) {
    let marked = AtomicU64::new(0);
    let lane = |way, from, to| Lane {
        way,
        from,
        to,
        shared,
        marked: &marked,
        generation: 0,
        bytes: 0,
    };
    thread::scope(|scope| {
        scope.spawn(|| lane(Way::Request, client, server).run());
        lane(Way::Answer, server, client).run();
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// One direction of a connection.
struct Lane<'a> {
    way: Way,
    from: &'a TcpStream,
    to: &'a TcpStream,
    shared: &'a Shared,
    /// The generation in which the text that is waited for went by.
    marked: &'a AtomicU64,
    generation: u64,
    /// Bytes in this generation.
    bytes: u64,
}

/// What becomes of a piece.
enum Fate {
    Whole,
    /// So many bytes go on, and then the connection is cut.
    Cut(usize),
}

impl Lane<'_> {
    fn run(mut self) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let size = self.piece().min(buffer.len());
            let read = match self.from.read(&mut buffer[..size]) {
                Ok(0) => return drop(self.to.shutdown(Shutdown::Write)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.cut(),
            };
            match self.fate(&buffer[..read]) {
                Fate::Whole if self.to.write_all(&buffer[..read]).is_ok() => {}
                Fate::Whole => return self.cut(),
                Fate::Cut(kept) => {
                    self.to.write_all(&buffer[..kept]).ok();
                    return self.cut();
                }
            }
        }
    }

    /// Broken off rather than ended: so both sides have to see it.
    fn cut(&self) {
        self.from.shutdown(Shutdown::Both).ok();
        self.to.shutdown(Shutdown::Both).ok();
    }

    /// How much is read at a time: of a throttled connection, a twentieth of a second's worth.
    fn piece(&self) -> usize {
        match self.shared.now().0 {
            Mode::Throttle(rate) => usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1),
            _ => usize::MAX,
        }
    }

    fn fate(&mut self, piece: &[u8]) -> Fate {
        loop {
            let (mode, generation) = self.shared.now();
            if self.generation != generation {
                (self.generation, self.bytes) = (generation, 0);
            }
            let marked = self.marked.load(Ordering::Relaxed) == generation;
            let waits = match mode {
                Mode::Silence => true,
                Mode::SilenceAfter(_) => marked && self.way == Way::Answer,
                _ => false,
            };
            if !waits {
                return self.fate_in(&mode, piece, marked);
            }
            self.shared.strike(u32::MAX);
            thread::sleep(POLL);
            if self.shared.stopped() {
                return Fate::Cut(0);
            }
        }
    }

    fn fate_in(&mut self, mode: &Mode, piece: &[u8], marked: bool) -> Fate {
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        match (mode, self.way) {
            (Mode::Delay(time), _) => {
                self.shared.strike(u32::MAX);
                thread::sleep(*time);
            }
            (Mode::Throttle(rate), _) => {
                self.shared.strike(u32::MAX);
                thread::sleep(Duration::from_secs(piece.len() as u64) / *rate as u32);
            }
            (Mode::CutAnswer { after, times }, Way::Answer)
            | (Mode::CutRequest { after, times }, Way::Request)
                if self.bytes > *after && before <= *after && self.shared.strike(*times) =>
            {
                return Fate::Cut((*after - before) as usize);
            }
            (Mode::LoseAnswer(text) | Mode::SilenceAfter(text), Way::Request)
                if holds(piece, text.as_bytes()) =>
            {
                self.marked.store(self.generation, Ordering::Relaxed);
            }
            (Mode::LoseAnswer(_), Way::Answer) if marked => {
                self.shared.strike(u32::MAX);
                return Fate::Cut(0);
            }
            _ => {}
        }
        Fate::Whole
    }
}

fn holds(piece: &[u8], text: &[u8]) -> bool {
    piece.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests;
