//! An issuer of tokens on this machine: HTTPS by an authority of its own, discovery, keys, and signatures by jsonwebtoken.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::harness::Authority;

/// For what the tokens of the tests are made.
pub(super) const AUDIENCE: &str = "registry.example.test";
/// The subject of the tests' tokens.
pub(super) const SUBJECT: &str = "repo:my-org/app:ref:refs/heads/main";

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// A key of an issuer.
pub(super) struct Key {
    id: String,
    algorithm: Algorithm,
    encoding: EncodingKey,
    pub(super) public_pem: String,
}

impl Key {
    pub(super) fn ec(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key can be made");
        let pem = pair.serialize_pem();
        let encoding = EncodingKey::from_ec_pem(pem.as_bytes()).expect("it is a P-256 key");
        Self::new(id, Algorithm::ES256, encoding, &pair)
    }

    pub(super) fn rsa(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256);
        let pair = pair.expect("an RSA key can be made");
        let pem = pair.serialize_pem();
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("it is an RSA key");
        Self::new(id, Algorithm::RS256, encoding, &pair)
    }

    fn new(id: &str, algorithm: Algorithm, encoding: EncodingKey, pair: &rcgen::KeyPair) -> Self {
        Self {
            id: id.to_owned(),
            algorithm,
            encoding,
            public_pem: pair.public_key_pem(),
        }
    }

    /// The public part, as a set has it.
    pub(super) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.encoding, self.algorithm).expect("it has a form");
        let mut jwk = serde_json::to_value(jwk).expect("it is JSON");
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.id.clone()),
            ..Header::new(self.algorithm)
        };
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("it can be signed")
    }
}

/// What an issuer answers.
#[derive(Clone)]
pub(super) enum Document {
    Json(Value),
    Redirect(String),
}

#[derive(Default)]
struct State {
    documents: HashMap<String, Document>,
    asked: HashMap<String, usize>,
    is_down: bool,
}

/// A running issuer.
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) ca: String,
    pub(super) key: Key,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    /// One that publishes a key.
    pub(super) async fn start() -> Self {
        Self::with(Key::ec("first")).await
    }

    pub(super) async fn with(key: Key) -> Self {
        let authority = Authority::new("test issuer");
        let (chain, private) = authority.issue_until(2100);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let private = PrivateKeyDer::from_pem_slice(private.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), private)
            .expect("they fit");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let state: Arc<Mutex<State>> = Arc::default();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let issuer = Self {
            url: format!("https://localhost:{port}"),
            ca: authority.pem(),
            key,
            task: tokio::spawn(serve(listener, acceptor, state.clone())),
            state,
        };
        let discovery =
            json!({ "issuer": issuer.url, "jwks_uri": format!("{}{KEYS}", issuer.url) });
        issuer.discovery(Document::Json(discovery));
        issuer.publish(&[&issuer.key]);
        issuer
    }

    pub(super) fn discovery(&self, document: Document) {
        self.answer(DISCOVERY, document);
    }

    pub(super) fn keys(&self, document: Document) {
        self.answer(KEYS, document);
    }

    /// Publishes these keys alone.
    pub(super) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.keys(Document::Json(json!({ "keys": keys })));
    }

    pub(super) fn answer(&self, path: &str, document: Document) {
        let mut state = self.state.lock().expect("nobody panicked");
        state.documents.insert(path.to_owned(), document);
    }

    /// Refuses every connection from now on, or none.
    pub(super) fn is_down(&self, is_down: bool) {
        self.state.lock().expect("nobody panicked").is_down = is_down;
    }

    /// How often its keys were asked for.
    pub(super) fn asked(&self) -> usize {
        let state = self.state.lock().expect("nobody panicked");
        state.asked.get(KEYS).copied().unwrap_or_default()
    }

    /// The claims of a token that is valid for five minutes.
    pub(super) fn claims(&self) -> Value {
        let now = now();
        json!({ "iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "nbf": now, "exp": now + 300 })
    }

    /// A token with changes to these claims; null leaves one out.
    pub(super) fn token(&self, changes: Value) -> String {
        self.key.sign(&changed(self.claims(), changes))
    }

    /// A rule that lets in whom the tests' tokens are about, with changes.
    pub(super) fn rule(&self, changes: Value) -> Value {
        let rule = json!({ "name": "main", "issuer": self.url, "audience": AUDIENCE, "subject": SUBJECT,
            "role": "developer", "ca": self.ca });
        changed(rule, changes)
    }
}

/// An object with changes; null leaves a field out.
pub(super) fn changed(mut object: Value, changes: Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    object
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the server under test has the machine's clock"
)]
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs() as i64
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        if !state.lock().expect("nobody panicked").is_down {
            tokio::spawn(answer(stream, acceptor.clone(), state.clone()));
        }
    }
}

/// Answers one request.
async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    state: Arc<Mutex<State>>,
) -> Result<(), Error> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).ok_or(ErrorKind::InvalidData)?;
    let document = {
        let mut state = state.lock().expect("nobody panicked");
        *state.asked.entry(path.to_owned()).or_default() += 1;
        state.documents.get(path).cloned()
    };
    let text = match document {
        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        Some(Document::Redirect(to)) => {
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
        }
        Some(Document::Json(json)) => {
            let body = json.to_string();
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        }
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
