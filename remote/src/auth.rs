//! How requests are authorized: by nothing, by name and password, or by tokens that a service gives for them. Tokens are
//! kept until most of their time is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use outgoing::{StreamClient, full};
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tenancy::secret::Secret;

use crate::challenge::Challenge;
use crate::error::of_status;
use crate::location::{Base, host_of, with_query};
use crate::{AGENT, Error, Result};

/// Bytes of a token service's answer.
const LARGEST: usize = 256 << 10;
/// How long a token is taken to be valid that does not say.
const SHORTEST: u64 = 60;
/// The longest time for which one is kept.
const LONGEST: u64 = 3_600;
/// Tokens that are kept.
const MOST: usize = 1_000;

/// Who signs in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name, or key.
    pub access_key: String,
    /// The password, or secret.
    pub secret: Secret,
}

/// What authorizes requests to one registry.
pub(crate) struct Authorization {
    credentials: Option<Credentials>,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

impl Authorization {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// Whether somebody signs in.
    pub(crate) const fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// What the registry wants, if that is known.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().clone()
    }

    /// Notes what the registry wants.
    pub(crate) fn learn(&self, challenge: Challenge) {
        *self.challenge.lock() = Some(challenge);
    }

    /// Forgets the token of a scope, which the registry does not take.
    pub(crate) fn forget(&self, scopes: &[String]) {
        self.tokens.lock().remove(&scopes.join(" "));
    }

    /// Name and password, as a header.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let credentials = self.credentials.as_ref()?;
        let (key, secret) = (&credentials.access_key, credentials.secret.expose());
        let text = format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")));
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The header for a request, of what the registry wants.
    ///
    /// # Errors
    /// Where the token service gives none.
    pub(crate) async fn header(
        &self,
        (http, base): (&StreamClient, &Base),
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        let Some(Challenge::Bearer { realm, service }) = self.challenge() else {
            return Ok(match self.challenge() {
                Some(Challenge::Basic) => self.basic(),
                _ => None,
            });
        };
        let key = scopes.join(" ");
        let kept = self.tokens.lock().get(&key).cloned();
        if let Some(token) = kept.filter(|token| Instant::now() < token.until) {
            return Ok(Some(token.header));
        }
        let token = self
            .fetch(http, base, (&realm, service.as_deref()), scopes)
            .await?;
        let header = token.header.clone();
        let mut tokens = self.tokens.lock();
        if tokens.len() >= MOST {
            tokens.clear();
        }
        tokens.insert(key, token);
        Ok(Some(header))
    }

    async fn fetch(
        &self,
        http: &StreamClient,
        base: &Base,
        (realm, service): (&str, Option<&str>),
        scopes: &[String],
    ) -> Result<Token> {
        let host = base.authority();
        // Name and password are not sent less protected than the registry itself is asked.
        if base.is_encrypted() && !realm.starts_with("https://") {
            let to = "to a token service without encryption";
            return Err(Error::Redirected(host.to_owned(), to));
        }
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = realm.to_owned();
        for (name, value) in service
            .map(|service| ("service", service))
            .into_iter()
            .chain(scopes.iter().map(|scope| ("scope", scope.as_str())))
        {
            url = with_query(&url, &format!("{name}={}", encode(value)));
        }
        let mut request = Request::get(&url).header(USER_AGENT, AGENT);
        if let Some(basic) = self.basic() {
            request = request.header(AUTHORIZATION, basic);
        }
        let request = request.body(full(Bytes::new()));
        let request = request.map_err(|_| protocol(host, "its token service has no valid URL"))?;
        let service = host_of(&url).to_owned();
        let answer = http.send(request).await;
        let answer = answer.map_err(|error| match error.innermost() {
            outgoing::Error::Forbidden(_) => Error::RedirectedInwards {
                from: host.to_owned(),
                to: service.clone(),
            },
            _ => Error::of_connection(&service, error),
        })?;
        let status = answer.status();
        let body = http.whole(answer.into_body(), LARGEST).await;
        let body = body.map_err(|error| Error::of_connection(&service, error))?;
        if status == StatusCode::FORBIDDEN {
            return Err(Error::Credentials(host.to_owned()));
        }
        if !status.is_success() {
            return Err(of_status(host, "get a token", (status, &body), 1));
        }
        read(host, &body)
    }
}

#[derive(Deserialize)]
struct Issued {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

fn read(host: &str, body: &[u8]) -> Result<Token> {
    let issued: Issued = serde_json::from_slice(body)
        .map_err(|_| protocol(host, "its token service answers no JSON with a token"))?;
    let text = match issued.token.is_empty() {
        true => issued.access_token,
        false => issued.token,
    };
    if text.is_empty() {
        return Err(protocol(host, "its token service gives no token"));
    }
    let header = HeaderValue::try_from(format!("Bearer {text}"));
    let mut header = header.map_err(|_| protocol(host, "its token is no text for a header"))?;
    header.set_sensitive(true);
    let lasts = match issued.expires_in {
        0 => SHORTEST,
        seconds => seconds.min(LONGEST),
    };
    let until = Instant::now() + Duration::from_secs(lasts).mul_f64(0.7);
    Ok(Token { header, until })
}

fn protocol(host: &str, problem: &str) -> Error {
    Error::Protocol {
        host: host.to_owned(),
        what: "get a token".to_owned(),
        problem: problem.to_owned(),
    }
}
