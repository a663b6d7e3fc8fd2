//! The client: a request, its authorization, its repetition, and redirects of what is read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use model::replication::RegistryKind;
use outgoing::{SentBody, StreamClient, full};

use crate::auth::Authorization;
use crate::challenge::{self, Challenge};
use crate::error::{is_registrys, of_status};
use crate::location::{Base, host_of};
use crate::retry::{self, Patience};
use crate::{AGENT, Error, Result};

/// Bytes of an answer that is no blob.
pub(crate) const LARGEST_ANSWER: usize = 8 << 20;
/// How long an answer that is no blob may take.
const LONGEST_ANSWER: Duration = Duration::from_secs(300);
/// Bytes of a refusal that are read.
const LARGEST_REFUSAL: usize = 64 << 10;
/// Redirects that are followed.
const MOST_REDIRECTS: u32 = 5;

/// Another registry.
#[derive(Clone)]
pub struct Remote(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) kind: RegistryKind,
    pub(crate) http: StreamClient,
    pub(crate) base: Base,
    pub(crate) authorization: Authorization,
    pub(crate) patience: Patience,
}

/// A request that can be sent again.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// A path of the registry, or a whole URL.
    pub(crate) at: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Whether it goes to the REST API, which takes name and password, and no tokens.
    pub(crate) is_api: bool,
    /// For messages: what the registry is to do.
    pub(crate) what: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: Method, at: impl Into<String>, what: &'a str) -> Self {
        Self {
            method,
            at: at.into(),
            scopes: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            is_api: false,
            what,
        }
    }

    pub(crate) fn scope(mut self, scope: String) -> Self {
        self.scopes.push(scope);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

/// An answer whose body was read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How often it was asked.
    attempts: u32,
}

impl Answer {
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The scope of a token to pull from a repository.
pub(crate) fn pulling(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// The scope of a token to push to a repository.
pub(crate) fn pushing(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}

/// The scope of a token to delete from a repository.
pub(crate) fn deleting(repository: &str) -> String {
    format!("repository:{repository}:pull,push,delete")
}

impl Remote {
    pub(crate) fn new(
        (kind, authorization): (RegistryKind, Authorization),
        http: StreamClient,
        base: Base,
        patience: Patience,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            http,
            base,
            authorization,
            patience,
        }))
    }

    /// What kind it is.
    pub fn kind(&self) -> RegistryKind {
        self.0.kind
    }

    /// Host and port, for messages.
    pub fn host(&self) -> &str {
        self.0.base.authority()
    }

    /// An answer that is a success; `None` where the registry does not have it.
    pub(crate) async fn found(&self, ask: Ask<'_>) -> Result<Option<Answer>> {
        let what = ask.what;
        let answer = self.ask(ask).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.success(answer, what).map(Some),
        }
    }

    /// An answer that is a success; `None` where the registry itself says that it does not have it. Any other 404 is an
    /// error.
    pub(crate) async fn listed(&self, ask: Ask<'_>) -> Result<Option<Answer>> {
        let what = ask.what;
        let answer = self.ask(ask).await?;
        match answer.status {
            StatusCode::NOT_FOUND if is_registrys(&answer.body) => Ok(None),
            StatusCode::NOT_FOUND => Err(Error::NoAnswer {
                host: self.host().to_owned(),
                what: what.to_owned(),
            }),
            _ => self.success(answer, what).map(Some),
        }
    }

    /// An answer that is a success.
    pub(crate) fn success(&self, answer: Answer, what: &str) -> Result<Answer> {
        match answer.status.is_success() {
            true => Ok(answer),
            false => {
                let told = (self.meant(answer.status), &answer.body[..]);
                Err(of_status(self.host(), what, told, answer.attempts))
            }
        }
    }

    /// What a status means: whoever was given a token is known, and lacks a right where that is not enough.
    fn meant(&self, status: StatusCode) -> StatusCode {
        let authorization = &self.0.authorization;
        let is_known = matches!(authorization.challenge(), Some(Challenge::Bearer { .. }))
            && authorization.has_credentials();
        match status {
            StatusCode::UNAUTHORIZED if is_known => StatusCode::FORBIDDEN,
            status => status,
        }
    }

    /// The answer to a request, with its body. Boxed, so that what asks stays small.
    pub(crate) fn ask<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(self.ask_patiently(ask))
    }

    async fn ask_patiently(&self, ask: Ask<'_>) -> Result<Answer> {
        let mut attempts = 1;
        loop {
            let done = self.ask_once(&ask).await;
            let (wait, failed) = match done {
                Ok(answer) if retry::is_passing(answer.status) => {
                    let asked = retry::asked(&answer.headers);
                    (self.0.patience.wait(attempts, asked), Ok(answer))
                }
                Err(error @ Error::Unreachable(..)) => {
                    (self.0.patience.wait(attempts, None), Err(error))
                }
                done => return done.map(|answer| Answer { attempts, ..answer }),
            };
            let Some(wait) = wait else {
                return failed.map(|answer| Answer { attempts, ..answer });
            };
            tracing::debug!(
                registry.host = self.host(),
                attempts,
                wait_ms = wait.as_millis() as u64,
                "a request to a registry is repeated"
            );
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Answer> {
        let response = Box::pin(self.open(ask)).await?;
        let (parts, body) = response.into_parts();
        let most = match parts.status.is_success() {
            true => LARGEST_ANSWER,
            false => LARGEST_REFUSAL,
        };
        let body = match ask.method {
            Method::HEAD => Bytes::new(),
            _ => self.whole(body, most, ask.what).await?,
        };
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
            attempts: 1,
        })
    }

    async fn whole(&self, body: Incoming, most: usize, what: &str) -> Result<Bytes> {
        let whole = tokio::time::timeout(LONGEST_ANSWER, self.0.http.whole(body, most)).await;
        let silent = |_| Error::Silent(self.host().to_owned(), LONGEST_ANSWER.as_secs());
        whole.map_err(silent)?.map_err(|error| match error {
            outgoing::Error::TooLarge(_) => {
                self.protocol(what, format!("its answer has more than {most} bytes"))
            }
            error => Error::of_connection(self.host(), error),
        })
    }

    /// The answer to a request, with its body unread. Redirects of what is read are followed.
    pub(crate) async fn open(&self, ask: &Ask<'_>) -> Result<Response<Incoming>> {
        let first = match ask.at.starts_with('/') {
            true => self.0.base.url(&ask.at),
            false => ask.at.clone(),
        };
        let mut response = self.at(ask, &first).await?;
        let mut from = first;
        for _ in 0..MOST_REDIRECTS {
            let is_read = matches!(ask.method, Method::GET | Method::HEAD);
            if !(is_read && response.status().is_redirection()) {
                return Ok(response);
            }
            let to = self.redirected(&from, response.headers(), ask.what)?;
            response = self.at(ask, &to).await?;
            from = to;
        }
        Err(Error::Redirected(self.host().to_owned(), "again and again"))
    }

    /// The answer to a request at a URL. Only the registry itself gets a token or password; a store gets neither.
    async fn at(&self, ask: &Ask<'_>, url: &str) -> Result<Response<Incoming>> {
        if self.is_own(url) {
            return self.authorized(ask, url).await;
        }
        let sent = self.send(ask, url, None).await;
        sent.map_err(|error| match error {
            Error::Inwards(_) => Error::RedirectedInwards {
                from: self.host().to_owned(),
                to: host_of(url).to_owned(),
            },
            other => other,
        })
    }

    /// Whether a URL is one of the registry itself, which alone is given its credentials.
    pub fn is_own(&self, url: &str) -> bool {
        self.0.base.is_own(url)
    }

    fn redirected(&self, from: &str, headers: &HeaderMap, what: &str) -> Result<String> {
        let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let to = location.and_then(|to| self.0.base.resolve(from, to));
        let to = to.ok_or_else(|| self.protocol(what, "it redirects to no URL".to_owned()))?;
        if from.starts_with("https:") && !to.starts_with("https:") {
            let host = self.host().to_owned();
            return Err(Error::Redirected(host, "to an address without encryption"));
        }
        Ok(to)
    }

    /// The answer to a request to the registry itself. What it wants to know of whoever asks is found out first, so that no
    /// body is sent in vain.
    async fn authorized(&self, ask: &Ask<'_>, url: &str) -> Result<Response<Incoming>> {
        if ask.is_api {
            return self.send(ask, url, self.0.authorization.basic()).await;
        }
        let header = self.authorize(&ask.scopes).await?;
        let header_was_sent = header.is_some();
        let response = self.send(ask, url, header).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(challenge) = challenge::of(response.headers()) else {
            return Ok(response);
        };
        let known = self.0.authorization.challenge();
        // The same name and password would not be taken the second time.
        if challenge == Challenge::Basic && known == Some(Challenge::Basic) && header_was_sent {
            return Ok(response);
        }
        self.0.authorization.learn(challenge);
        self.0.authorization.forget(&ask.scopes);
        let header = self.authorize(&ask.scopes).await?;
        if header.is_none() {
            return Ok(response);
        }
        self.send(ask, url, header).await
    }

    /// The header that authorizes requests with these scopes.
    pub(crate) async fn authorize(&self, scopes: &[String]) -> Result<Option<HeaderValue>> {
        let inner = &self.0;
        if inner.authorization.challenge().is_none() {
            Box::pin(self.discover()).await?;
        }
        let of = (&inner.http, &inner.base);
        Box::pin(inner.authorization.header(of, scopes)).await
    }

    /// Asks the registry what it wants to know of whoever asks; its status.
    pub(crate) async fn discover(&self) -> Result<StatusCode> {
        let ask = Ask::new(Method::GET, "/v2/", "say that it is a registry");
        let response = self.send(&ask, &self.0.base.url("/v2/"), None).await?;
        let status = response.status();
        let challenge = match status {
            StatusCode::UNAUTHORIZED => challenge::of(response.headers()),
            // A registry that lets everybody in may still know names.
            _ if self.0.authorization.has_credentials() => Some(Challenge::Basic),
            _ => Some(Challenge::Nothing),
        };
        if status.is_success() || status == StatusCode::UNAUTHORIZED {
            self.0
                .authorization
                .learn(challenge.unwrap_or(Challenge::Nothing));
        }
        Ok(status)
    }

    async fn send(
        &self,
        ask: &Ask<'_>,
        url: &str,
        authorization: Option<HeaderValue>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(url)
            .header(USER_AGENT, AGENT);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        let request = request.body(full(ask.body.clone()));
        let request = request.map_err(|_| self.protocol(ask.what, format!("{url:?} is no URL")))?;
        self.exchange(request, url).await
    }

    /// Sends a request whose body cannot be sent again.
    pub(crate) async fn exchange(
        &self,
        request: Request<SentBody>,
        url: &str,
    ) -> Result<Response<Incoming>> {
        let sent = self.0.http.send(request).await;
        sent.map_err(|error| Error::of_connection(host_of(url), error))
    }

    /// The error for an answer that is not as the specification says.
    pub(crate) fn protocol(&self, what: &str, problem: String) -> Error {
        Error::Protocol {
            host: self.host().to_owned(),
            what: what.to_owned(),
            problem,
        }
    }

    /// Reads an answer whose body is unread and that is no success, as an error.
    pub(crate) async fn refusal(&self, response: Response<Incoming>, what: &str) -> Error {
        let status = self.meant(response.status());
        let body = self
            .whole(response.into_body(), LARGEST_REFUSAL, what)
            .await;
        of_status(
            self.host(),
            what,
            (status, &body.unwrap_or_default()[..]),
            1,
        )
    }

    /// How long to wait after a number of failed attempts; `None` after the last one.
    pub(crate) fn wait(&self, attempts: u32) -> Option<Duration> {
        self.0.patience.wait(attempts, None)
    }
}
