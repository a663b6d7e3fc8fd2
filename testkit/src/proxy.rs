//! A TCP proxy of our own that fails as it is told, for between a server and its database or its store.
//! What it does is changed while connections are open; requests of HTTP are in `http`.

mod http;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::harness::client::background;
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
    state: watch::Sender<State>,
    struck: Arc<AtomicU32>,
}

#[derive(Clone)]
struct State {
    mode: Mode,
    /// Counts changes of the mode.
    generation: u64,
    /// Connections that began before this generation are cut.
    anew: u64,
}

/// What the listener and the connections share.
#[derive(Clone)]
struct Shared {
    target: SocketAddr,
    state: watch::Receiver<State>,
    struck: Arc<AtomicU32>,
}

impl Proxy {
    /// Listens on a free port of loopback for connections to `target`, `HOST:PORT`.
    pub fn start(target: &str) -> Result<Self, String> {
        let target = target.parse().map_err(|e| format!("{target}: {e}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], lasting_port()?));
        let listener = background().block_on(TcpListener::bind(address));
        let failed = |error| format!("the proxy cannot listen on {address}: {error}");
        let (state, watched) = watch::channel(State {
            mode: Mode::Pass,
            generation: 1,
            anew: 0,
        });
        let shared = Shared {
            target,
            state: watched,
            struck: Arc::default(),
        };
        let struck = Arc::clone(&shared.struck);
        background().spawn(accept(listener.map_err(failed)?, address, shared));
        Ok(Self {
            address,
            state,
            struck,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done from now on. Counts begin anew, those of open connections too.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.generation += 1;
            if mode.begins_anew() || matches!(state.mode, Mode::Answer(_)) {
                state.anew = state.generation;
            }
            state.mode = mode;
            self.struck.store(0, Ordering::Relaxed);
        });
    }

    /// How often something was done to a connection since the last [`Proxy::set`]; refused connections
    /// are nowhere seen and not counted.
    pub fn struck(&self) -> u32 {
        self.struck.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn now(&self) -> (Mode, u64) {
        let state = self.state.borrow();
        (state.mode.clone(), state.generation)
    }

    /// Counts a stroke, unless there were `times` already.
    fn strike(&self, times: u32) -> bool {
        let more = |count| (count < times).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.struck.fetch_update(order, order, more).is_ok()
    }
}

/// Takes connections until the proxy is dropped.
async fn accept(listener: TcpListener, address: SocketAddr, mut shared: Shared) {
    let mut listener = Some(listener);
    loop {
        if matches!(shared.now().0, Mode::Refuse) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = shared.state.changed() => if changed.is_err() {
                return;
            },
            Ok((client, _)) = accepted => {
                tokio::spawn(serve(client, shared.clone()));
            }
        }
    }
}

/// How long the target may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

/// A connection that fails is the client's to notice: it is closed.
async fn serve(client: TcpStream, shared: Shared) {
    let (mode, born) = shared.now();
    let mut state = shared.state.clone();
    let work = async {
        let server = timeout(CONNECT, TcpStream::connect(shared.target)).await??;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        match mode {
            Mode::Answer(rule) => http::serve(client, server, &rule, &shared).await,
            _ => pass(client, server, &shared).await,
        }
    };
    tokio::select! {
        _ = work => {}
        // An error says that the proxy was dropped.
        _ = state.wait_for(|state| state.anew > born) => {}
    }
}

/// Hands bytes on in both directions, until one of them breaks or both have ended.
async fn pass(client: TcpStream, server: TcpStream, shared: &Shared) -> io::Result<()> {
    let marked = AtomicU64::new(0);
    let (client, server) = (client.into_split(), server.into_split());
    let lane = |way| Lane {
        way,
        shared,
        marked: &marked,
        generation: 0,
        bytes: 0,
    };
    let up = lane(Way::Request).run(client.0, server.1);
    let down = lane(Way::Answer).run(server.0, client.1);
    tokio::try_join!(up, down).map(drop)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// One direction of a connection.
struct Lane<'a> {
    way: Way,
    shared: &'a Shared,
    /// The generation in which the text that is waited for went by.
    marked: &'a AtomicU64,
    generation: u64,
    /// Bytes in this generation.
    bytes: u64,
}

impl Lane<'_> {
    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // Of a throttled connection, a twentieth of a second's worth.
            let size = match self.shared.now().0 {
                Mode::Throttle(rate) => (rate as usize / 20).clamp(1, buffer.len()),
                _ => buffer.len(),
            };
            let read = from.read(&mut buffer[..size]).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            // Of what is cut, so many bytes go on.
            let kept = self.kept(&buffer[..read]).await;
            to.write_all(&buffer[..kept.unwrap_or(read)]).await?;
            if kept.is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// How much of a piece goes on before the connection is cut, which it is not where there is no answer.
    async fn kept(&mut self, piece: &[u8]) -> Option<usize> {
        let mut state = self.shared.state.clone();
        loop {
            let (mode, generation) = self.shared.now();
            if self.generation != generation {
                (self.generation, self.bytes) = (generation, 0);
            }
            let marked = self.marked.load(Ordering::Relaxed) == generation;
            let waits = match mode {
                Mode::Silence => true,
                Mode::StallAnswer { after } => {
                    self.way == Way::Answer && self.bytes + piece.len() as u64 > after
                }
                Mode::SilenceAfter(_) => marked && self.way == Way::Answer,
                _ => false,
            };
            if !waits {
                return self.kept_in(&mode, piece, marked).await;
            }
            self.shared.strike(u32::MAX);
            if state
                .wait_for(|it| it.generation != generation)
                .await
                .is_err()
            {
                return Some(0);
            }
        }
    }

    async fn kept_in(&mut self, mode: &Mode, piece: &[u8], marked: bool) -> Option<usize> {
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        match (mode, self.way) {
            (Mode::Delay(time), _) => {
                self.shared.strike(u32::MAX);
                sleep(*time).await;
            }
            (Mode::Throttle(rate), _) => {
                self.shared.strike(u32::MAX);
                sleep(Duration::from_secs(piece.len() as u64) / *rate as u32).await;
            }
            (Mode::CutAnswer { after, times }, Way::Answer)
            | (Mode::CutRequest { after, times }, Way::Request)
                if self.bytes > *after && before <= *after && self.shared.strike(*times) =>
            {
                return Some((*after - before) as usize);
            }
            (Mode::LoseAnswer(text) | Mode::SilenceAfter(text), Way::Request)
                if piece.windows(text.len()).any(|it| it == text.as_bytes()) =>
            {
                self.marked.store(self.generation, Ordering::Relaxed);
            }
            (Mode::LoseAnswer(_), Way::Answer) if marked => {
                self.shared.strike(u32::MAX);
                return Some(0);
            }
            _ => {}
        }
        None
    }
}
