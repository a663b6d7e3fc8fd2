//! A collector of a test's own, for what no real one does on request: it takes syslog by TCP, or requests by HTTP, breaks
//! off, hangs or refuses. For everything else there is `rsyslogd`.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::background;

/// What is spoken.
#[derive(Clone, Copy)]
pub enum Speech {
    /// Syslog with octet counting.
    Syslog,
    /// HTTP.
    Http,
}

/// Takes what it is sent, until it is dropped.
pub struct Collector {
    port: u16,
    state: Arc<State>,
    listening: tokio::task::JoinHandle<()>,
}

/// A request that came by HTTP.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The request line and the header, as they came.
    pub head: String,
    pub body: String,
}

impl Posted {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

struct State {
    messages: Mutex<Vec<String>>,
    requests: Mutex<Vec<Posted>>,
    status: AtomicU16,
    breaks: AtomicBool,
    hangs: AtomicBool,
}

impl Collector {
    /// On a free port.
    pub async fn start(speech: Speech) -> Self {
        Self::at(0, speech).await
    }

    /// On a port that another one had.
    pub async fn at(port: u16, speech: Speech) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("there are sockets");
        socket.set_reuseaddr(true).expect("it is a socket");
        let address = ([127, 0, 0, 1], port).into();
        socket.bind(address).expect("the port is free");
        let listener = socket.listen(64).expect("it is bound");
        let listener = listener.into_std().expect("it is a socket");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            messages: Mutex::default(),
            requests: Mutex::default(),
            status: 200.into(),
            breaks: false.into(),
            hangs: false.into(),
        });
        let taking = state.clone();
        let listening = background().spawn(async move {
            let listener = TcpListener::from_std(listener).expect("it is a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let state = taking.clone();
                tokio::spawn(async move {
                    // A client that is gone, as when its process was killed, sends no more.
                    let _ = state.take(stream, speech).await;
                });
            }
        });
        Self {
            port,
            state,
            listening,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address())
    }

    /// The status of answers from now on.
    pub fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// Whether connections are cut off from now on before everything was read.
    pub fn break_off(&self, breaks: bool) {
        self.state.breaks.store(breaks, Ordering::SeqCst);
    }

    /// Whether connections are taken from now on, and nothing is read.
    pub fn hang(&self, hangs: bool) {
        self.state.hangs.store(hangs, Ordering::SeqCst);
    }

    /// All messages of syslog so far, also those that were read before a connection was cut off.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.state.messages.lock();
        messages.expect("no test panics with the lock").clone()
    }

    /// All requests so far that were answered 2xx.
    pub fn requests(&self) -> Vec<Posted> {
        let requests = self.state.requests.lock();
        requests.expect("no test panics with the lock").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl State {
    async fn take(&self, mut stream: TcpStream, speech: Speech) -> std::io::Result<()> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.breaks.load(Ordering::SeqCst) {
            let mut little = [0; 10];
            stream.read_exact(&mut little).await?;
            // Closing with bytes that were not read resets the connection.
            return Ok(());
        }
        match speech {
            Speech::Syslog => self.take_messages(stream).await,
            Speech::Http => self.take_request(stream).await,
        }
    }

    async fn take_messages(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let mut rest = &bytes[..];
        // A client that was killed may have sent a part of a message.
        while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
            let (count, after) = (&rest[..space], &rest[space + 1..]);
            let count: usize = String::from_utf8_lossy(count).parse().expect("a count");
            let Some((message, after)) = after.split_at_checked(count) else {
                break;
            };
            let message = String::from_utf8(message.to_vec()).expect("a message is text");
            let messages = self.messages.lock();
            messages
                .expect("no test panics with the lock")
                .push(message);
            rest = after;
        }
        Ok(())
    }

    async fn take_request(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let end = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let posted = Posted {
            head,
            body: String::new(),
        };
        let length = posted.header("content-length").unwrap_or("0");
        let length: usize = length.parse().expect("a length");
        while bytes.len() < end + 4 + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
        let status = self.status.load(Ordering::SeqCst);
        if (200..300).contains(&status) {
            let requests = self.requests.lock();
            let mut requests = requests.expect("no test panics with the lock");
            requests.push(Posted { body, ..posted });
        }
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}
