//! An HTTP/2 connection on which a test writes single frames.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::server::Server;
use super::tls;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const ACKNOWLEDGED: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

/// Types of the frames that answer something.
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GOAWAY: u8 = 7;

pub(crate) struct RawH2 {
    stream: TlsStream<TcpStream>,
}

impl Server {
    /// A connection on which both sides have said hello.
    pub(crate) async fn raw_h2(&self) -> RawH2 {
        let mut h2 = RawH2::without_preface(self).await;
        for part in [PREFACE, EMPTY_SETTINGS, ACKNOWLEDGED] {
            h2.write(part).await.expect("the server reads");
        }
        h2
    }
}

impl RawH2 {
    /// A connection on which nothing was said yet.
    pub(crate) async fn without_preface(server: &Server) -> Self {
        let connected = Self::connect(server.port(), &server.authority_file()).await;
        connected.expect("the server accepts a connection")
    }

    async fn connect(port: u16, authority: &Path) -> io::Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let config = tls::client_config(authority, &["h2"]);
        Ok(Self {
            stream: tls::handshake(config, tcp, "127.0.0.1").await?,
        })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(crate) async fn write_frame(
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

    /// Waits for the end of the connection, of a stream, or for an answer that refuses; anything else is
    /// wrong.
    pub(crate) async fn refusal(&mut self) -> Result<(), String> {
        let answer = timeout(Duration::from_secs(10), self.next_answer()).await;
        match answer.map_err(|_| "neither an answer nor an end within 10 s".to_owned())? {
            None | Some((RESET | GOAWAY, _)) => Ok(()),
            // :status 200, 204 and 206 of the static table come first
            Some((_, block)) if matches!(block.first(), Some(0x88..=0x8a)) => {
                Err("it was served".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    /// The next frame that answers something; none at the end of the connection.
    async fn next_answer(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            if matches!(head[3], HEADERS | RESET | GOAWAY) {
                return Some((head[3], payload));
            }
        }
    }
}
