//! What the proxy does to requests of HTTP/1.1: it answers in the server's stead, or spoils the answer.

use std::io::{self, ErrorKind};

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy, sink,
};
use tokio::net::TcpStream;

use super::Shared;

/// Which requests something is done to, and what.
#[derive(Clone)]
pub struct Rule {
    pub method: &'static str,
    /// A text in the target; empty for any.
    pub part: &'static str,
    pub reply: Reply,
    /// How many requests.
    pub times: u32,
}

#[derive(Clone, Copy)]
pub enum Reply {
    /// An error as S3 writes it, with this status and code; the server never hears of the request.
    Error(u16, &'static str),
    /// A page for people, as a broken gateway sends it, with this status.
    Page(u16),
    /// The server does what it was asked, and the connection is cut instead of its answer.
    Lost,
    /// The server's answer, which says and is half as long as it must be.
    Half,
}

/// Serves one connection, request by request.
pub(super) async fn serve(
    client: TcpStream,
    server: TcpStream,
    rule: &Rule,
    shared: &Shared,
) -> io::Result<()> {
    let ((requests, mut client), (answers, mut server)) =
        (client.into_split(), server.into_split());
    let (requests, answers) = (&mut BufReader::new(requests), &mut BufReader::new(answers));
    while let Some(request) = Head::read(requests).await? {
        let struck = rule.applies(&request) && shared.strike(rule.times);
        if let (true, Some(answer)) = (struck, rule.reply.instead()) {
            request.body(requests, &mut sink()).await?;
            client.write_all(answer.as_bytes()).await?;
            continue;
        }
        server.write_all(request.text.as_bytes()).await?;
        request.body(requests, &mut server).await?;
        let Some(answer) = Head::read(answers).await? else {
            return Ok(());
        };
        match rule.reply {
            Reply::Lost if struck => return Ok(()),
            Reply::Half if struck => answer.halved(answers, &mut client).await?,
            _ => {
                client.write_all(answer.text.as_bytes()).await?;
                if !request.text.starts_with("HEAD ") {
                    answer.body(answers, &mut client).await?;
                }
            }
        }
    }
    Ok(())
}

impl Rule {
    fn applies(&self, request: &Head) -> bool {
        let mut words = request.text.split(' ');
        words.next() == Some(self.method)
            && words
                .next()
                .is_some_and(|target| target.contains(self.part))
    }
}

impl Reply {
    /// What is answered without asking the server.
    fn instead(self) -> Option<String> {
        let (status, kind, body) = match self {
            Self::Error(status, code) => (
                status,
                "application/xml",
                format!(
                    "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told to</Message></Error>"
                ),
            ),
            Self::Page(status) => (
                status,
                "text/html",
                "<html><body><h1>Something went wrong</h1></body></html>".to_owned(),
            ),
            Self::Lost | Self::Half => return None,
        };
        let later = if status == 503 {
            "Retry-After: 1\r\n"
        } else {
            ""
        };
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\n{later}Content-Length: {length}\r\n\r\n{body}"
        ))
    }
}

/// The head of a request or of an answer, with the empty line at its end.
struct Head {
    text: String,
}

/// What a body is read from, and what it is written to.
trait Source: AsyncBufRead + Unpin + Send {}
impl<T: AsyncBufRead + Unpin + Send> Source for T {}
trait Target: AsyncWrite + Unpin + Send {}
impl<T: AsyncWrite + Unpin + Send> Target for T {}

impl Head {
    /// `None` where the connection ends before it.
    async fn read(from: &mut impl Source) -> io::Result<Option<Self>> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if from.read_line(&mut text).await? == 0 {
                return match text.is_empty() {
                    true => Ok(None),
                    false => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        }
        Ok(Some(Self { text }))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    fn length(&self) -> u64 {
        let length = self.header("content-length");
        length.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Hands the body on that belongs to this head.
    async fn body(&self, from: &mut impl Source, to: &mut impl Target) -> io::Result<()> {
        if self.header("transfer-encoding") == Some("chunked") {
            return chunks(from, to).await;
        }
        exactly(self.length(), from, to).await
    }

    /// Hands half of the body on, under a head that fits it.
    async fn halved(&self, from: &mut impl Source, to: &mut impl Target) -> io::Result<()> {
        let (length, half) = (self.length(), self.length() / 2);
        let fits = |line: &str| match line.split_once(':') {
            Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                format!("{name}: {half}\r\n")
            }
            _ => format!("{line}\r\n"),
        };
        let head: String = self.text.lines().map(fits).collect();
        to.write_all(head.as_bytes()).await?;
        exactly(half, from, to).await?;
        exactly(length - half, from, &mut sink()).await
    }
}

async fn exactly(length: u64, from: &mut impl Source, to: &mut impl Target) -> io::Result<()> {
    match copy(&mut from.take(length), to).await? == length {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Hands a body in chunks on as it is, to its last chunk and the empty line.
async fn chunks(from: &mut impl Source, to: &mut impl Target) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await?;
        to.write_all(line.as_bytes()).await?;
        let digits = line.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
        exactly(size + 2, from, to).await?;
        if size == 0 {
            return Ok(());
        }
    }
}
