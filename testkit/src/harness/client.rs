//! An HTTP client in the shape of sentences: `alice.put(path).body(bytes).await.expect(201)`.
//!
//! It trusts the CA of one server, speaks HTTP/1.1 (or h2, or plain HTTP where a test says so), keeps connections, and
//! changes nothing about requests and answers.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use super::tls;
use crate::content::Sent;

type Body = Sent;
/// Takes a body piece by piece.
pub type Sink<'s> = &'s mut (dyn FnMut(&[u8]) + Send);
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Http1,
    Http2,
    Plain,
}

#[derive(Clone)]
pub(crate) enum Credential {
    None,
    Basic { user: String, password: String },
    Bearer(String),
}

/// One caller: who they are, whom they trust, how they speak.
pub struct Client {
    port: u16,
    source: Ipv4Addr,
    credential: Credential,
    protocol: Protocol,
    trust: Option<[Arc<ClientConfig>; 2]>,
    /// Whether there is one connection at most, and whether it was opened.
    once: Option<Arc<AtomicBool>>,
    /// How much of what comes the kernel may keep for a connection, where that is not left to it.
    receive: Option<u32>,
    /// Whether each request gets a connection of its own.
    fresh: bool,
    idle: Mutex<Vec<Connection>>,
}

impl Clone for Client {
    /// The same caller on connections of their own.
    fn clone(&self) -> Self {
        Self {
            port: self.port,
            source: self.source,
            credential: self.credential.clone(),
            protocol: self.protocol,
            trust: self.trust.clone(),
            once: self.once.clone(),
            receive: self.receive,
            fresh: self.fresh,
            idle: Mutex::default(),
        }
    }
}

impl Client {
    pub(crate) fn new(port: u16, authority: &Path, credential: Credential) -> Self {
        let trust = authority.exists().then(|| {
            [
                tls::client_config(authority, &["http/1.1"]),
                tls::client_config(authority, &["h2"]),
            ]
        });
        let source = Ipv4Addr::LOCALHOST;
        Self {
            port,
            source,
            credential,
            protocol: Protocol::Http1,
            trust,
            once: None,
            receive: None,
            fresh: false,
            idle: Mutex::default(),
        }
    }

    /// One that measures: by TLS 1.3 with AES-128-GCM alone, so that all servers use the same.
    pub fn bulk(port: u16, authority: &Path) -> Self {
        let trust = ["http/1.1", "h2"].map(|protocol| tls::bulk_config(authority, protocol));
        Self {
            trust: Some(trust),
            ..Self::new(port, Path::new(""), Credential::None)
        }
    }

    /// One that opens a connection and never another.
    pub fn only_once(self) -> Self {
        Self {
            once: Some(Arc::default()),
            ..self
        }
    }

    /// One for whose connections the kernel keeps no more of what comes: there may be very many.
    pub fn receiving(self, bytes: u32) -> Self {
        Self {
            receive: Some(bytes),
            ..self
        }
    }

    /// One that opens a connection for each request and keeps none.
    pub fn fresh(self) -> Self {
        Self {
            fresh: true,
            ..self
        }
    }

    /// The end of the address that it calls from.
    pub(crate) fn last(&self) -> u8 {
        self.source.octets()[3]
    }

    /// What it trusts, by this protocol.
    pub(crate) fn config(&self, protocol: &str) -> Arc<ClientConfig> {
        let trust = self.trust.as_ref().expect("this client trusts a CA");
        trust[usize::from(protocol == "h2")].clone()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client of plain HTTP on a port of this machine.
    pub fn plain(port: u16) -> Self {
        Self::new(port, Path::new(""), Credential::None).speaking(Protocol::Plain)
    }

    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same caller at another address of this machine, 127.0.0.`last`.
    pub fn at(&self, last: u8) -> Self {
        Self {
            source: Ipv4Addr::new(127, 0, 0, last),
            ..self.clone()
        }
    }

    /// The same caller, who trusts only the certificates in `authority`.
    pub fn trusting(&self, authority: &Path) -> Self {
        let trust = Self::new(self.port, authority, Credential::None).trust;
        Self {
            trust,
            ..self.clone()
        }
    }

    /// The same caller, who presents a certificate: chain and key, both PEM.
    pub fn presenting(&self, (certificate, key): &(String, String)) -> Self {
        let trust = self.trust.as_ref().expect("this client trusts a CA");
        let trust = trust
            .each_ref()
            .map(|config| tls::presenting(config, certificate, key));
        Self {
            trust: Some(trust),
            ..self.clone()
        }
    }

    /// The user name, for a client that has one.
    pub fn name(&self) -> &str {
        match &self.credential {
            Credential::Basic { user, .. } => user,
            Credential::None | Credential::Bearer(_) => panic!("this client has no user name"),
        }
    }

    /// The same person, holding a token for these scopes instead of a password.
    pub async fn with_token(&self, scopes: &[&str]) -> Self {
        let token = self.token(scopes).await;
        Self {
            credential: Credential::Bearer(token),
            ..self.clone()
        }
    }

    /// A token for these scopes, as docker asks for it.
    pub async fn token(&self, scopes: &[&str]) -> String {
        let scopes: String = scopes
            .iter()
            .map(|scope| format!("&scope={scope}"))
            .collect();
        let path = format!("/service/token?service=harbor-registry{scopes}");
        let answer = self.get(&path).await.expect(200).json();
        answer["token"]
            .as_str()
            .expect("the answer has a token")
            .to_owned()
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    pub fn head(&self, path: &str) -> Request<'_> {
        self.request(Method::HEAD, path)
    }

    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Request<'_> {
        self.request(Method::PUT, path)
    }

    pub fn patch(&self, path: &str) -> Request<'_> {
        self.request(Method::PATCH, path)
    }

    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        let headers = match &self.credential {
            Credential::None => Vec::new(),
            Credential::Basic { user, password } => {
                let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
                vec![(
                    AUTHORIZATION.to_string(),
                    format!("Basic {pair}").into_bytes(),
                )]
            }
            Credential::Bearer(token) => {
                vec![(
                    AUTHORIZATION.to_string(),
                    format!("Bearer {token}").into_bytes(),
                )]
            }
        };
        Request {
            client: self,
            method,
            path: path.to_owned(),
            headers,
            body: empty(),
        }
    }

    /// The certificate that a new handshake gets.
    pub async fn certificate(&self) -> CertificateDer<'static> {
        self.certificate_for("127.0.0.1")
            .await
            .expect("the handshake succeeds")
    }

    /// The certificate that a new handshake with this host name gets, if it is one for that name.
    pub async fn certificate_for(&self, host: &str) -> io::Result<CertificateDer<'static>> {
        let tcp = self.tcp().await?;
        let config = self
            .trust
            .as_ref()
            .expect("the CA was there when this client was made")[0]
            .clone();
        let stream = tls::handshake(config, tcp, host).await?;
        let chain = stream
            .get_ref()
            .1
            .peer_certificates()
            .expect("a server shows its certificate");
        Ok(chain[0].clone().into_owned())
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.source != Ipv4Addr::LOCALHOST {
            socket.bind((self.source, 0).into())?;
        }
        let stream = socket
            .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A new connection, which lives on a runtime of its own: it goes on, and ends, while the test's waits.
    async fn connect(&self) -> Result<Connection, Failure> {
        if self
            .once
            .as_ref()
            .is_some_and(|it| it.swap(true, Ordering::Relaxed))
        {
            return Err(SECOND.into());
        }
        let client = self.clone();
        background()
            .spawn(async move { client.connect_here().await })
            .await?
    }

    async fn connect_here(&self) -> Result<Connection, Failure> {
        let tcp = self.tcp().await?;
        if self.protocol == Protocol::Plain {
            return Connection::http1(tcp).await;
        }
        let [http1, http2] = self.trust.as_ref().ok_or("the CA file is not there yet")?;
        let config = if self.protocol == Protocol::Http2 {
            http2
        } else {
            http1
        };
        let stream = tls::handshake(config.clone(), tcp, "127.0.0.1").await?;
        match self.protocol {
            Protocol::Http2 => Connection::http2(stream).await,
            Protocol::Http1 | Protocol::Plain => Connection::http1(stream).await,
        }
    }

    async fn exchange(
        &self,
        mut request: hyper::Request<Body>,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        loop {
            let kept = self
                .idle
                .lock()
                .expect("no test panics with the lock")
                .pop();
            let fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match connection.send(request).await {
                Ok(response) => return Ok((response, connection)),
                // the server closed a kept connection before it saw anything of this request
                Err((_, Some(unsent))) if !fresh => request = unsent,
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    fn keep(&self, connection: Connection) {
        if self.fresh {
            return;
        }
        self.idle
            .lock()
            .expect("no test panics with the lock")
            .push(connection);
    }
}

/// What a client that opens one connection says of the second.
pub const SECOND: &str = "another connection is needed";

/// Where the connections of all clients live.
pub fn background() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    })
}

enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    async fn http1(
        io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(200)
            .handshake(TokioIo::new(io))
            .await?;
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    async fn http2(
        io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .handshake(TokioIo::new(io))
            .await?;
        tokio::spawn(connection);
        Ok(Self::Http2(sender))
    }

    async fn send(
        &mut self,
        request: hyper::Request<Body>,
    ) -> Result<Response<Incoming>, (hyper::Error, Option<hyper::Request<Body>>)> {
        let ready = match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        };
        if let Err(error) = ready {
            return Err((error, Some(request)));
        }
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut failed| {
            let unsent = failed.take_message();
            (failed.into_error(), unsent)
        })
    }
}

/// A request that goes out when it is awaited.
pub struct Request<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl<'c> Request<'c> {
    /// Sets a header; one that was set before is replaced.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.also_header(name, value)
    }

    /// Adds a header beside those of the same name.
    pub fn also_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn content_type(self, media_type: &str) -> Self {
        self.header(CONTENT_TYPE.as_str(), media_type)
    }

    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Full::new(bytes.into())
            .map_err(|never| match never {})
            .boxed_unsync();
        self
    }

    pub fn json(self, value: &Value) -> Self {
        self.content_type("application/json")
            .body(value.to_string())
    }

    pub fn form(self, pairs: &str) -> Self {
        self.content_type("application/x-www-form-urlencoded")
            .body(pairs.to_owned())
    }

    /// A body that the test writes while the request runs.
    pub fn streaming(mut self) -> (Sender<Bytes, io::Error>, Self) {
        let (sender, body) = Channel::new(1);
        self.body = body.boxed_unsync();
        (sender, self)
    }

    /// A body of any kind.
    pub fn sending(mut self, body: Sent) -> Self {
        self.body = body;
        self
    }

    /// Sends the request and reads the whole answer; an error is one of the connection.
    pub async fn attempt(self) -> Result<Answer, Failure> {
        self.attempt_into(None).await
    }

    /// The same with the body of a success handed to `sink` alone, where there is one.
    pub async fn attempt_into(self, sink: Option<Sink<'_>>) -> Result<Answer, Failure> {
        let client = self.client;
        let asked = format!("{} {}", self.method, self.path);
        let (response, connection) = client.exchange(self.into_http()?).await?;
        let (head, mut body) = response.into_parts();
        let body = match sink {
            Some(sink) if head.status == StatusCode::OK => {
                while let Some(frame) = body.frame().await {
                    if let Ok(piece) = frame?.into_data() {
                        sink(&piece);
                    }
                }
                Bytes::new()
            }
            _ => body.collect().await?.to_bytes(),
        };
        client.keep(connection);
        Ok(Answer {
            asked,
            status: head.status.as_u16(),
            version: head.version,
            headers: head.headers,
            body,
        })
    }

    /// Sends the request and leaves the body of the answer to the test.
    pub async fn open(self) -> Response<Incoming> {
        self.try_open().await.expect("the server answers")
    }

    /// As [`Self::open`]; an error is one of the connection.
    pub async fn try_open(self) -> Result<Response<Incoming>, Failure> {
        let client = self.client;
        let (response, _) = client.exchange(self.into_http()?).await?;
        Ok(response)
    }

    fn into_http(self) -> Result<hyper::Request<Body>, Failure> {
        let authority = format!("127.0.0.1:{}", self.client.port);
        let uri: Uri = if self.client.protocol == Protocol::Http2 {
            format!("https://{authority}{}", self.path).parse()?
        } else {
            self.path.parse()?
        };
        let mut request = hyper::Request::builder().method(self.method).uri(uri);
        let own_host = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if self.client.protocol != Protocol::Http2 && !own_host {
            request = request.header(HOST, authority);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        Ok(request.body(self.body)?)
    }
}

impl<'c> IntoFuture for Request<'c> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = format!("{} {}", self.method, self.path);
            self.attempt()
                .await
                .unwrap_or_else(|error| panic!("no answer to {asked}: {error:?}"))
        })
    }
}

/// The whole answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    asked: String,
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Method and path of the request.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Fails the test for any other status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "{status} expected, but {self}");
        self
    }

    /// Fails the test for any other status or first error code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        assert!(
            self.status == status && self.code() == code,
            "{status} {code} expected, but {self}"
        );
        self
    }

    /// The code of the first error in the body; empty where there is none.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The message of the first error in the body; empty where there is none.
    pub fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn maybe_header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("(not ASCII)"))
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.maybe_header(name)
            .unwrap_or_else(|| panic!("no header {name}: {self}"))
    }

    #[track_caller]
    pub fn digest(&self) -> &str {
        self.header("docker-content-digest")
    }

    /// Path and query of the `Location`, whether or not it names the host.
    #[track_caller]
    pub fn location(&self) -> String {
        let uri: Uri = self
            .header("location")
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {self}"));
        uri.path_and_query()
            .unwrap_or_else(|| panic!("no path in Location: {self}"))
            .to_string()
    }

    /// [`Self::location`] with one more query parameter.
    #[track_caller]
    pub fn location_with(&self, parameter: &str) -> String {
        let location = self.location();
        let separator = if location.contains('?') { '&' } else { '?' };
        format!("{location}{separator}{parameter}")
    }

    /// The target of the `Link` header with this relation.
    pub fn link(&self, relation: &str) -> Option<String> {
        let links = self.maybe_header("link")?;
        let wanted = format!("rel=\"{relation}\"");
        let link = links.split(',').find(|link| link.contains(&wanted))?;
        let (_, rest) = link.split_once('<')?;
        let (target, _) = rest.split_once('>')?;
        Some(target.to_owned())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        write!(
            f,
            "{} → {} {:?}\n{body}",
            self.asked, self.status, self.headers
        )
    }
}

fn empty() -> Body {
    Full::default()
        .map_err(|never| match never {})
        .boxed_unsync()
}
