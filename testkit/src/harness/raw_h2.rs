//! An HTTP/2 connection on which a test writes single frames.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::server::Server;
use super::tls;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// SETTINGS_INITIAL_WINDOW_SIZE of 0.
const CLOSED_WINDOWS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
const ACKNOWLEDGED: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

/// Types of the frames that answer something.
pub const HEADERS: u8 = 1;
const RESET: u8 = 3;
pub const GOAWAY: u8 = 7;
/// The type of the frames of bodies.
pub const DATA: u8 = 0;

pub struct RawH2 {
    stream: TlsStream<TcpStream>,
}

impl Server {
    /// A connection on which both sides have said hello.
    pub async fn raw_h2(&self) -> RawH2 {
        self.raw_h2_from(1).await
    }

    /// As [`Self::raw_h2`], from 127.0.0.`last`.
    pub async fn raw_h2_from(&self, last: u8) -> RawH2 {
        self.raw_h2_saying(last, EMPTY_SETTINGS).await
    }

    /// A connection from 127.0.0.`last` of a client that takes nothing in: its windows are closed.
    pub async fn raw_h2_closed(&self, last: u8) -> RawH2 {
        self.raw_h2_saying(last, CLOSED_WINDOWS).await
    }

    async fn raw_h2_saying(&self, last: u8, settings: &[u8]) -> RawH2 {
        let h2 = RawH2::without_preface_from(self, last).await;
        h2.saying(settings).await.expect("the server reads")
    }
}

/// The length of a text in a header block; see RFC 7541, section 5.1.
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else {
        return vec![u8::try_from(length).expect("it is short")];
    };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).expect("it is a byte"));
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("it is less than 128"));
    bytes
}

impl RawH2 {
    /// A connection on which nothing was said yet.
    pub async fn without_preface(server: &Server) -> Self {
        Self::without_preface_from(server, 1).await
    }

    async fn without_preface_from(server: &Server, last: u8) -> Self {
        let connected = Self::connect(last, server.port(), &server.authority_file()).await;
        connected.expect("the server accepts a connection")
    }

    /// A client from 127.0.0.`last` whose windows are closed.
    pub async fn closed(last: u8, port: u16, authority: &Path) -> io::Result<Self> {
        let h2 = Self::connect(last, port, authority).await?;
        h2.saying(CLOSED_WINDOWS).await
    }

    async fn saying(mut self, settings: &[u8]) -> io::Result<Self> {
        for part in [PREFACE, settings, ACKNOWLEDGED] {
            self.write(part).await?;
        }
        Ok(self)
    }

    async fn connect(last: u8, port: u16, authority: &Path) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let tcp = socket.connect(server).await?;
        tcp.set_nodelay(true)?;
        let config = tls::client_config(authority, &["h2"]);
        Ok(Self {
            stream: tls::handshake(config, tcp, "127.0.0.1").await?,
        })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub async fn write_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len())
            .expect("a frame is small")
            .to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.write(&frame).await
    }

    /// Begins a request; its body comes in frames, unless it ends here.
    pub async fn begin(
        &mut self,
        stream: u32,
        fields: &[(&str, &str)],
        ends: bool,
    ) -> io::Result<()> {
        let mut block = Vec::new();
        for (name, value) in fields {
            // A literal field, neither indexed nor compressed; see RFC 7541, section 6.2.2.
            block.push(0);
            for text in [name, value] {
                block.extend(length(text.len()));
                block.extend(text.as_bytes());
            }
        }
        let flags = if ends { 5 } else { 4 };
        self.write_frame(HEADERS, flags, stream, &block).await
    }

    /// The next frame that begins an answer, resets a stream or ends the connection: its kind and stream; none at
    /// the end of the connection.
    pub async fn next_event(&mut self) -> Option<(u8, u32)> {
        self.next_frame()
            .await
            .map(|(kind, stream, _)| (kind, stream))
    }

    /// Whether the server ends the connection within this time, whatever it says before.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        let end = async { while self.next_frame().await.is_some() {} };
        timeout(patience, end).await.is_ok()
    }

    /// Waits for the end of the connection, of a stream, or for an answer that refuses; anything else is
    /// wrong.
    pub async fn refusal(&mut self) -> Result<(), String> {
        let answer = timeout(Duration::from_secs(10), self.next_frame()).await;
        match answer.map_err(|_| "neither an answer nor an end within 10 s".to_owned())? {
            None | Some((RESET | GOAWAY, ..)) => Ok(()),
            // :status 200, 204 and 206 of the static table come first
            Some((_, _, block)) if matches!(block.first(), Some(0x88..=0x8a)) => {
                Err("it was served".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    /// The next frame that answers something; none at the end of the connection.
    async fn next_frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            if matches!(head[3], HEADERS | RESET | GOAWAY) {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                return Some((head[3], stream, payload));
            }
        }
    }
}
