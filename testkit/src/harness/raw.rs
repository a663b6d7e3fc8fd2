//! A TLS connection on which a test writes bytes that no HTTP library would.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::tls;

/// How long an answer may take before the test says that none came.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Raw {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// What it says of the connection.
    pub connection: Option<String>,
    pub body: Vec<u8>,
}

impl Raw {
    /// Connects from 127.0.0.`last`; `preface` goes over the wire before TLS begins.
    pub async fn connect(
        last: u8,
        port: u16,
        authority: &Path,
        preface: &[u8],
    ) -> io::Result<Self> {
        let config = tls::client_config(authority, &["http/1.1"]);
        Self::connect_with(last, port, config, 64 << 10, preface).await
    }

    /// The same with what the kernel may keep of what comes: what a slow reader leaves unread stays small.
    pub async fn connect_with(
        last: u8,
        port: u16,
        config: Arc<ClientConfig>,
        receive: u32,
        preface: &[u8],
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(receive)?;
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
        let mut tcp = socket
            .connect(SocketAddr::from(([127, 0, 0, 1], port)))
            .await?;
        tcp.write_all(preface).await?;
        tcp.set_nodelay(true)?;
        let stream = tls::handshake(config, tcp, "127.0.0.1").await?;
        Ok(Self {
            stream,
            read: Vec::new(),
        })
    }

    /// The certificate that the server showed.
    pub fn certificate(&self) -> Vec<u8> {
        let chain = self.stream.get_ref().1.peer_certificates();
        chain.map_or_else(Vec::new, |chain| chain[0].to_vec())
    }

    /// Asks and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Whole, Broken> {
        let both = async {
            self.write(request).await.map_err(|_| Broken::Unanswered)?;
            self.whole_answer(async |_| {}).await
        };
        let late = || Broken::Cut("no answer within a minute".to_owned());
        timeout(PATIENCE * 6, both)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Reads one whole answer, its body piece by piece; one shorter than announced is an error.
    pub async fn whole_answer(
        &mut self,
        mut sink: impl AsyncFnMut(&[u8]),
    ) -> Result<Whole, Broken> {
        if self.read.is_empty() && !self.fill().await {
            return Err(Broken::Unanswered);
        }
        let head = self.read_head().await;
        let (status, head) = head.ok_or(Broken::Cut("cut in the head".to_owned()))?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(0);
        let mut bytes = 0;
        loop {
            let piece: Vec<u8> = self
                .read
                .drain(..self.read.len().min(length - bytes))
                .collect();
            bytes += piece.len();
            sink(&piece).await;
            if bytes == length {
                break;
            }
            if !self.fill().await {
                return Err(Broken::Cut(format!("cut after {bytes} bytes of {length}")));
            }
        }
        Ok(Whole {
            status,
            bytes: bytes as u64,
            closes: header(&head, "connection").is_some_and(|it| it.eq_ignore_ascii_case("close")),
        })
    }

    /// The value of a header of the next answer, and its status; none if the server closes the connection first.
    pub async fn answer_with(&mut self, name: &str) -> Option<(u16, Option<String>)> {
        let head = timeout(PATIENCE, self.read_head()).await;
        let (status, head) = head.expect("neither an answer nor an end within 10 s")?;
        Some((status, header(&head, name).map(str::to_owned)))
    }

    /// Whether the server ends the connection within this time, whatever it says before.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        let end = async { while self.fill().await {} };
        timeout(patience, end).await.is_ok()
    }

    /// Writes and flushes; an error means that the server has closed the connection.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next answer, or none if the server closes the connection first.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        timeout(PATIENCE, self.read_answer())
            .await
            .expect("neither an answer nor an end within 10 s")
    }

    /// The answer to a HEAD: no body, whatever its length says.
    pub async fn head_answer(&mut self) -> Option<RawAnswer> {
        let head = timeout(PATIENCE, self.read_head()).await;
        let (status, head) = head.expect("neither an answer nor an end within 10 s")?;
        Some(RawAnswer {
            status,
            connection: header(&head, "connection").map(str::to_owned),
            body: Vec::new(),
        })
    }

    /// As [`Self::answer`], but a short silence counts as none too.
    pub async fn answer_if_any(&mut self) -> Option<RawAnswer> {
        timeout(Duration::from_millis(300), self.read_answer())
            .await
            .ok()
            .flatten()
    }

    /// Whether the next thing that comes is `100 Continue`.
    pub async fn says_continue(&mut self) -> bool {
        let expected: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        while self.read.len() < expected.len()
            && matches!(timeout(PATIENCE, self.fill()).await, Ok(true))
        {}
        let said = self.read == expected;
        self.read.clear();
        said
    }

    /// Whether the server closes the connection without another byte.
    pub async fn closes_within(&mut self, patience: Duration) -> bool {
        self.read.is_empty() && matches!(timeout(patience, self.fill()).await, Ok(false))
    }

    /// Drops the TCP connection without a word, as a cut cable does once the peer's timer has run out.
    pub fn cut(self) {
        let (tcp, _) = self.stream.into_inner();
        let _ = tcp.set_zero_linger();
    }

    async fn read_answer(&mut self) -> Option<RawAnswer> {
        let (status, head) = self.read_head().await?;
        let length = header(&head, "content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.read.len() < length && self.fill().await {}
        let body = self.read.drain(..length.min(self.read.len())).collect();
        Some(RawAnswer {
            status,
            connection: header(&head, "connection").map(str::to_owned),
            body,
        })
    }

    /// Status and header of the next answer that is a final one.
    async fn read_head(&mut self) -> Option<(u16, String)> {
        loop {
            let end = loop {
                if let Some(at) = find(&self.read, b"\r\n\r\n") {
                    break at + 4;
                }
                if !self.fill().await {
                    return None;
                }
            };
            let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
            self.read.drain(..end);
            let status = head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok());
            let status = status.unwrap_or(0);
            if !(100..200).contains(&status) {
                return Some((status, head));
            }
        }
    }

    /// Reads some more; false at the end of the stream.
    async fn fill(&mut self) -> bool {
        let mut some = [0; 16 * 1024];
        match self.stream.read(&mut some).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend_from_slice(&some[..count]);
                true
            }
        }
    }
}

/// A whole answer, whose body went elsewhere.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub bytes: u64,
    pub closes: bool,
}

/// How a connection ended instead of an answer.
#[derive(Debug)]
pub enum Broken {
    /// Before a single byte of it.
    Unanswered,
    Cut(String),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unanswered => f.write_str("closed without an answer"),
            Self::Cut(how) => f.write_str(how),
        }
    }
}

impl RawAnswer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The value of a header in a raw answer.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
