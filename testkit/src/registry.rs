//! What a registry client does: push a blob in its several ways, push a manifest, pull both. What goes wrong is told,
//! and told apart.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::content::{Blob, Digester, Sent, body};
use crate::harness::client::{Answer, Client, Failure, Protocol, Sink};
use crate::harness::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::harness::raw::Raw;
use crate::target::Target;

/// Why a request was no success.
#[derive(Clone, Debug)]
pub enum Failed {
    /// An answer with a status that was not hoped for.
    Status {
        asked: String,
        code: u16,
        body: String,
    },
    /// A body that looked whole and is not what was asked for.
    Digest {
        got: String,
        size: u64,
        wanted: String,
    },
    /// No answer, or half of one.
    Cut(String),
    /// An answer that is wrong in another way.
    Wrong(String),
}

impl Failed {
    /// The status of the answer; 0 where that is not what was wrong.
    pub fn status(&self) -> u16 {
        match self {
            Self::Status { code, .. } => *code,
            _ => 0,
        }
    }

    /// Whether the answer is an error in the registry's form. One to HEAD has no body.
    pub fn is_clean(&self) -> bool {
        let Self::Status { asked, body, .. } = self else {
            return false;
        };
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        let code = answer["errors"][0]["code"].as_str();
        code.is_some_and(|code| !code.is_empty()) || asked.starts_with("HEAD ") && body.is_empty()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { asked, code, body } => {
                let body: String = body.chars().take(300).collect();
                write!(f, "{asked}: {code} {}", body.trim())
            }
            Self::Digest { got, size, wanted } => {
                write!(f, "got {got} ({size} bytes) instead of {wanted}")
            }
            Self::Cut(text) | Self::Wrong(text) => f.write_str(text),
        }
    }
}

impl From<Failed> for String {
    fn from(failed: Failed) -> Self {
        failed.to_string()
    }
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::Wrong(text)
    }
}

/// The ways to push a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// POST, then PUT with the whole body.
    Put,
    /// POST, PATCH with the whole body, PUT: what docker does.
    Patch,
    /// POST with digest and body.
    Post,
    /// POST, several PATCHes with Content-Range, PUT.
    Chunks,
}

/// How a client says who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    None,
    Basic,
    Token,
}

/// A client of a registry: its own connections, and tokens that it shares with its copies.
#[derive(Clone)]
pub struct Registry {
    pub client: Client,
    pub login: Option<(String, String)>,
    pub auth: Auth,
    /// How long an answer may take, beyond what a body takes.
    pub patience: Duration,
    tokens: Arc<Mutex<HashMap<String, (String, Instant)>>>,
}

/// One request on a repository.
pub struct Call<'a> {
    method: Method,
    path: &'a str,
    repository: &'a str,
    headers: Vec<(&'static str, String)>,
    body: Option<Sent>,
    size: u64,
}

impl<'a> Call<'a> {
    pub fn new(method: Method, path: &'a str, repository: &'a str) -> Self {
        Self {
            method,
            path,
            repository,
            headers: Vec::new(),
            body: None,
            size: 0,
        }
    }

    pub fn get(path: &'a str, repository: &'a str) -> Self {
        Self::new(Method::GET, path, repository)
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Puts an OCI manifest there.
    pub fn put_manifest(path: &'a str, repository: &'a str, manifest: &Manifest) -> Self {
        let call = Self::new(Method::PUT, path, repository);
        let mut call = call.header("content-type", OCI_MANIFEST);
        (call.body, call.size) = (Some(body(manifest.bytes.clone())), manifest.size());
        call
    }

    pub fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Asks for an OCI manifest.
    pub fn manifest(self) -> Self {
        self.header("accept", OCI_MANIFEST)
    }

    /// A body of so many bytes.
    pub fn body(mut self, body: Sent, size: u64) -> Self {
        (self.body, self.size) = (Some(body), size);
        self.header("content-type", "application/octet-stream")
    }

    /// Says where the body belongs.
    pub fn range(self, from: u64, to: u64) -> Self {
        self.header("content-range", format!("{from}-{}", to.saturating_sub(1)))
    }
}

impl Registry {
    pub fn new(target: &Target) -> Result<Self, String> {
        let port = target
            .address()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let port = port.ok_or(format!("{} names no port", target.url))?;
        let client = match target.url.starts_with("https:") {
            true => Client::bulk(port, &target.ca),
            false => Client::plain(port),
        };
        Ok(Self {
            client,
            auth: match target.login {
                Some(_) => Auth::Token,
                None => Auth::None,
            },
            login: target.login.clone(),
            patience: Duration::from_secs(120),
            tokens: Arc::default(),
        })
    }

    /// The same account at another address of this machine, 127.0.0.`last`.
    pub fn calling_from(&self, last: u8) -> Self {
        Self {
            client: self.client.at(last),
            tokens: Arc::default(),
            ..self.clone()
        }
    }

    /// Another account.
    pub fn login(&self, user: &str, password: &str) -> Self {
        Self {
            login: Some((user.to_owned(), password.to_owned())),
            tokens: Arc::default(),
            ..self.clone()
        }
    }

    pub fn signing_by(&self, auth: Auth) -> Self {
        Self {
            auth,
            ..self.clone()
        }
    }

    /// The same over HTTP/2, by one connection and never by another.
    pub fn http2(&self) -> Self {
        Self {
            client: self.client.clone().speaking(Protocol::Http2).only_once(),
            ..self.clone()
        }
    }

    /// The same with a connection of its own for each request.
    pub fn fresh(&self) -> Self {
        Self {
            client: self.client.clone().fresh(),
            ..self.clone()
        }
    }

    pub fn basic(&self) -> String {
        let (user, password) = self.login.as_ref().map_or(("", ""), |(u, p)| (u, p));
        format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        )
    }

    /// The header for work on a repository, or on several with commas between them, of which all but the first are
    /// only read; empty where the server asks for none.
    pub async fn authorization(&self, repository: &str) -> Result<String, Failed> {
        match self.auth {
            Auth::None => return Ok(String::new()),
            Auth::Basic => return Ok(self.basic()),
            Auth::Token => {}
        }
        let mut tokens = self.tokens.lock().await;
        if let Some((token, renewal)) = tokens.get(repository)
            && Instant::now() < *renewal
        {
            return Ok(format!("Bearer {token}"));
        }
        let answer = self
            .ask(Method::GET, &token_path(repository), &self.basic(), None)
            .await?;
        let answer = expect(answer, &[200])?.json();
        let token = answer["token"].as_str().unwrap_or_default().to_owned();
        let life = answer["expires_in"].as_u64().unwrap_or(60);
        let renewal = Instant::now() + Duration::from_secs(life) * 3 / 4;
        tokens.insert(repository.to_owned(), (token.clone(), renewal));
        Ok(format!("Bearer {token}"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        authorization: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let mut request = self.client.request(method, path);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        if let Some(payload) = payload {
            request = request.json(payload);
        }
        let answer = timeout(self.patience, request.attempt()).await;
        answer.map_err(|_| late(path))?.map_err(cut)
    }

    async fn request(&self, call: Call<'_>) -> Result<crate::harness::client::Request<'_>, Failed> {
        let authorization = self.authorization(call.repository).await?;
        let mut request = self.client.request(call.method, call.path);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        Ok(match call.body {
            Some(body) => request.sending(body),
            None => request,
        })
    }

    /// Sends a request and hands back the answer whatever it is, its body read to the end; what comes with 200 goes
    /// to `sink` where there is one.
    pub async fn answer(&self, call: Call<'_>, sink: Option<Sink<'_>>) -> Result<Answer, Failed> {
        let asked = format!("{} {}", call.method, call.path);
        // A body of which a fifth of a MB goes out in a second is slow, but moves.
        let patience = self.patience + Duration::from_secs(call.size / 200_000);
        let request = self.request(call).await?;
        let answer = timeout(patience, request.attempt_into(sink)).await;
        answer.map_err(|_| late(&asked))?.map_err(cut)
    }

    /// Sends a request and expects one of these statuses.
    pub async fn send(&self, call: Call<'_>, expected: &[u16]) -> Result<Answer, Failed> {
        expect(self.answer(call, None).await?, expected)
    }

    /// Sends a request and leaves the body of the answer, whatever that is.
    pub async fn begin(&self, call: Call<'_>) -> Result<hyper::Response<Incoming>, Failed> {
        self.request(call).await?.try_open().await.map_err(cut)
    }

    /// Sends a request and leaves the body of the answer, which must be 200.
    pub async fn open(&self, call: Call<'_>) -> Result<hyper::Response<Incoming>, Failed> {
        let asked = format!("{} {}", call.method, call.path);
        let opened = self.begin(call).await?;
        match opened.status().as_u16() {
            200 => Ok(opened),
            code => Err(Failed::Status {
                asked,
                code,
                body: String::new(),
            }),
        }
    }

    /// A connection on which every byte is accounted for, of which the kernel keeps so many bytes.
    pub async fn dial(&self, protocol: &str, receive: u32) -> std::io::Result<Raw> {
        let (last, config) = (self.client.last(), self.client.config(protocol));
        let dial = Raw::connect_with(last, self.client.port(), config, receive, &[]);
        let late = |_| std::io::ErrorKind::TimedOut.into();
        timeout(Duration::from_secs(10), dial)
            .await
            .unwrap_or_else(|error| Err(late(error)))
    }

    /// The head of a request for such a connection, without the empty line at its end.
    pub fn head(&self, method: &str, path: &str, authorization: &str) -> String {
        let port = self.client.port();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: {OCI_MANIFEST}\r\n"
        );
        if !authorization.is_empty() {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        head
    }

    /// A request of the API for administrators, by password.
    pub async fn rest(
        &self,
        method: Method,
        path: &str,
        payload: Option<&Value>,
        expected: &[u16],
    ) -> Result<Answer, Failed> {
        expect(
            self.ask(method, path, &self.basic(), payload).await?,
            expected,
        )
    }

    /// Makes the first part of a repository's name a project, where the server has such a thing.
    pub async fn make_project_of(&self, repository: &str) -> Result<(), Failed> {
        if self.auth == Auth::None {
            return Ok(());
        }
        let name = project(repository);
        let made = json!({ "project_name": name, "metadata": { "public": "false" } });
        let path = "/api/v2.0/projects";
        self.rest(Method::POST, path, Some(&made), &[201, 409])
            .await?;
        Ok(())
    }

    pub async fn make_user(&self, name: &str, password: &str) -> Result<(), Failed> {
        let user = json!({ "username": name, "password": password, "realname": name, "comment": "",
            "email": format!("{name}@example.test") });
        let path = "/api/v2.0/users";
        self.rest(Method::POST, path, Some(&user), &[201]).await?;
        Ok(())
    }

    /// Opens the connection and fetches the token, so that neither is part of what is measured.
    pub async fn warm(&self, repository: &str) -> Result<(), Failed> {
        self.has_blob(repository, &Blob::of("no such blob").digest)
            .await?;
        Ok(())
    }

    pub async fn start_upload(&self, repository: &str) -> Result<String, Failed> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let call = Call::new(Method::POST, &path, repository).body(body(""), 0);
        let answer = self.send(call, &[202]).await?;
        location(&answer)
    }

    pub async fn push_blob(&self, repository: &str, blob: &Blob, way: Way) -> Result<(), Failed> {
        if way == Way::Post {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
            let call = Call::new(Method::POST, &path, repository);
            let call = call.body(blob.stream(0, blob.size), blob.size);
            let answer = self.send(call, &[201, 202]).await?;
            if answer.status == 201 {
                return Ok(());
            }
            // A registry may not know this way, and begins an upload instead.
            return self.put_blob(repository, &location(&answer)?, blob).await;
        }
        let mut at = self.start_upload(repository).await?;
        if way == Way::Put {
            return self.put_blob(repository, &at, blob).await;
        }
        let step = match way {
            Way::Chunks => blob.size / 3 + 1,
            _ => blob.size.max(1),
        };
        let mut from = 0;
        while from < blob.size {
            let to = blob.size.min(from + step);
            let call = Call::new(Method::PATCH, &at, repository);
            let mut call = call.body(blob.stream(from, to), to - from);
            if way == Way::Chunks {
                call = call.range(from, to);
            }
            at = location(&self.send(call, &[202]).await?)?;
            from = to;
        }
        self.finish_upload(repository, &at, &blob.digest).await
    }

    /// Ends an upload with the whole content.
    pub async fn put_blob(&self, repository: &str, at: &str, blob: &Blob) -> Result<(), Failed> {
        let path = with_digest(at, &blob.digest);
        let call = Call::new(Method::PUT, &path, repository);
        let call = call.body(blob.stream(0, blob.size), blob.size);
        self.send(call, &[201]).await.map(drop)
    }

    /// Ends an upload that has all its content.
    pub async fn finish_upload(
        &self,
        repository: &str,
        at: &str,
        digest: &str,
    ) -> Result<(), Failed> {
        let path = with_digest(at, digest);
        let call = Call::new(Method::PUT, &path, repository).body(body(""), 0);
        self.send(call, &[201]).await.map(drop)
    }

    /// The upload that was begun where the blob was not mounted from another repository.
    pub async fn mount(
        &self,
        repository: &str,
        from: &str,
        digest: &str,
    ) -> Result<Option<String>, Failed> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let both = format!("{repository},{from}");
        let call = Call::new(Method::POST, &path, &both).body(body(""), 0);
        let answer = self.send(call, &[201, 202]).await?;
        match answer.status {
            201 => Ok(None),
            _ => location(&answer).map(Some),
        }
    }

    pub async fn has_blob(&self, repository: &str, digest: &str) -> Result<bool, Failed> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let call = Call::new(Method::HEAD, &path, repository);
        Ok(self.send(call, &[200, 404]).await?.status == 200)
    }

    /// Pulls a blob and checks its digest; its size.
    pub async fn pull_blob(&self, repository: &str, digest: &str) -> Result<u64, Failed> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let mut sum = Digester::default();
        let mut sink = |piece: &[u8]| sum.update(piece);
        let answer = self
            .answer(Call::get(&path, repository), Some(&mut sink))
            .await?;
        expect(answer, &[200])?;
        let size = sum.1;
        let got = sum.finish();
        if got != digest {
            let wanted = digest.to_owned();
            return Err(Failed::Digest { got, size, wanted });
        }
        Ok(size)
    }

    pub async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<(), Failed> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let call = Call::put_manifest(&path, repository, manifest);
        self.send(call, &[201]).await.map(drop)
    }

    /// The bytes under a tag or digest.
    pub async fn pull_manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Manifest, Failed> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self
            .send(Call::get(&path, repository).manifest(), &[200])
            .await?;
        Ok(Manifest::new(answer.body))
    }

    /// Deletes a manifest or tag.
    pub async fn delete(&self, repository: &str, reference: &str) -> Result<(), Failed> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let call = Call::new(Method::DELETE, &path, repository);
        self.send(call, &[202]).await.map(drop)
    }

    pub async fn push_image(
        &self,
        repository: &str,
        reference: &str,
        image: &Image,
        way: Way,
    ) -> Result<(), Failed> {
        for blob in &image.blobs {
            self.push_blob(repository, blob, way).await?;
        }
        self.push_manifest(repository, reference, &image.manifest)
            .await
    }
}

/// A manifest with its digest.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub digest: String,
    pub bytes: Bytes,
}

impl Manifest {
    pub fn new(bytes: Bytes) -> Self {
        Self {
            digest: Blob::of(bytes.clone()).digest,
            bytes,
        }
    }

    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The digests of its config and layers.
    pub fn names(&self) -> Vec<String> {
        let manifest: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let named = layers.chain([&manifest["config"]]);
        named
            .filter_map(|it| it["digest"].as_str().map(str::to_owned))
            .collect()
    }
}

/// A config, layers and the manifest over them; the config is the first blob.
#[derive(Clone, Debug)]
pub struct Image {
    pub blobs: Vec<Blob>,
    pub manifest: Manifest,
}

impl Image {
    /// With these members on top, such as annotations or a subject.
    pub fn with(config: Blob, layers: &[Blob], more: &Value) -> Self {
        let described = |kind: &str, blob: &Blob| json!({ "mediaType": kind, "digest": blob.digest, "size": blob.size });
        let layer = |blob| described(OCI_LAYER, blob);
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": described(OCI_CONFIG, &config), "layers": layers.iter().map(layer).collect::<Vec<_>>() });
        for (name, value) in more.as_object().into_iter().flatten() {
            manifest[name] = value.clone();
        }
        Self {
            manifest: Manifest::new(manifest.to_string().into()),
            blobs: [&[config], layers].concat(),
        }
    }

    pub fn new(config: Blob, layers: &[Blob]) -> Self {
        Self::with(config, layers, &json!({}))
    }

    /// One of its own among images that are else the same.
    pub fn numbered(config: &Blob, layer: &Blob, number: impl fmt::Display) -> Self {
        let annotations = json!({ "annotations": { "number": number.to_string() } });
        Self::with(config.clone(), std::slice::from_ref(layer), &annotations)
    }

    /// A config and a layer, all its own.
    pub fn small(config: usize, layer: u64) -> Self {
        Self::new(Blob::config(config), &[Blob::random(layer)])
    }
}

pub fn project(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

/// Asks for all actions on a repository and, for those after a comma, the right to pull.
fn token_path(repositories: &str) -> String {
    let mut path = "/service/token?service=harbor-registry".to_owned();
    for (index, repository) in repositories.split(',').enumerate() {
        let actions = ["pull,push,delete", "pull"][index.min(1)];
        path.push_str(&format!("&scope=repository:{repository}:{actions}"));
    }
    path
}

pub fn expect(answer: Answer, expected: &[u16]) -> Result<Answer, Failed> {
    if expected.contains(&answer.status) {
        return Ok(answer);
    }
    Err(Failed::Status {
        asked: answer.asked().to_owned(),
        code: answer.status,
        body: answer.text(),
    })
}

/// Path and query of where an upload goes on.
pub fn location(answer: &Answer) -> Result<String, Failed> {
    let named = answer
        .maybe_header("location")
        .and_then(|text| text.parse().ok());
    let path = named.and_then(|uri: hyper::Uri| Some(uri.path_and_query()?.to_string()));
    path.ok_or(Failed::Wrong(format!("no Location: {answer}")))
}

/// How many bytes an upload has, by the Range of an answer; `0-0` is none, or one, which no upload here stops at.
pub fn received(answer: &Answer) -> Result<u64, Failed> {
    let range = answer.maybe_header("range").unwrap_or_default();
    let last = range
        .strip_prefix("0-")
        .and_then(|last| last.parse::<u64>().ok());
    match last {
        Some(0) => Ok(0),
        Some(last) => Ok(last + 1),
        None => Err(Failed::Wrong(format!("the answer has the Range {range:?}"))),
    }
}

pub fn with_digest(location: &str, digest: &str) -> String {
    let mark = if location.contains('?') { '&' } else { '?' };
    format!("{location}{mark}digest={digest}")
}

fn late(asked: &str) -> Failed {
    Failed::Cut(format!("{asked}: no answer in time"))
}

fn cut(failure: Failure) -> Failed {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Failed::Cut(text)
}
