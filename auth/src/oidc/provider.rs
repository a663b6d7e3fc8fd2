//! The provider itself: its endpoints, its keys, and requests to it over HTTP.
//!
//! Endpoints and keys are read once an hour, by one request at a time, for which all others wait. After a failure the
//! next attempt is made two seconds later, so that a provider that is down does not get more load. A token with an
//! unknown key makes Gantry read the keys at once, but at most every 10 seconds, so that made-up tokens do not cause
//! requests. Redirects are not followed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use outgoing::{Guard, HttpClient, Trust, Verification, client_config};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tenancy::secret::Secret;
use tracing::instrument;

use super::config::Config;
use super::error::{Error, Result};

/// How long endpoints and keys are cached.
const KEPT: Duration = Duration::from_secs(3_600);
/// Minimum time between reading the keys for tokens with unknown keys.
const REFETCH: Duration = Duration::from_secs(10);
/// How long a provider that did not answer is not asked again for endpoints and keys.
const DOWN: Duration = Duration::from_secs(2);
/// Maximum bytes of an answer.
const LARGEST: usize = 1 << 20;
/// Maximum keys.
const MOST_KEYS: usize = 100;
/// Maximum characters of the provider's own messages to show.
const LONGEST_WORDS: usize = 200;

/// Characters that need no escape in a form or a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Claims about a person.
pub(super) type Claims = Map<String, Value>;

/// A provider.
pub struct Provider {
    config: Config,
    http: HttpClient,
    metadata: Mutex<Option<(Instant, Arc<Metadata>)>>,
    keys: Mutex<Option<(Instant, Arc<Vec<Jwk>>)>>,
    /// Locked while endpoints or keys are read.
    reading: tokio::sync::Mutex<()>,
    /// When reading last failed.
    failed_at: Mutex<Option<Instant>>,
}

/// The provider's metadata (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    #[serde(default)]
    pub(super) id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 9207.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default)]
    pub(super) code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) backchannel_logout_supported: bool,
}

/// The tokens that the provider gives for a code or a refresh token.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: Option<Secret>,
    pub(super) id_token: Option<Secret>,
    pub(super) refresh_token: Option<Secret>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Provider {
    /// A provider that has not been asked anything yet.
    ///
    /// # Errors
    /// [`Error::Settings`] for certificates that cannot be used.
    pub fn new(config: Config, guard: Arc<Guard>) -> Result<Self> {
        let verification = match (&config.authorities, config.verify) {
            (_, false) => Verification::Off,
            (Some(pem), true) => Verification::Authorities(pem),
            (None, true) => Verification::System,
        };
        let tls = client_config(verification, None);
        let tls = tls.map_err(|error| Error::Settings(format!("oidc_ca_certificate: {error}")))?;
        Ok(Self {
            http: HttpClient::new(guard, tls, config.timeout, LARGEST),
            config,
            metadata: Mutex::default(),
            keys: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            failed_at: Mutex::default(),
        })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it calls itself, with which the subjects of its people begin.
    ///
    /// # Errors
    /// When its configuration cannot be read.
    pub async fn issuer(&self) -> Result<String> {
        Ok(self.metadata().await?.issuer.clone())
    }

    /// Whether it answers as a provider.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read_metadata().await.map(|_| ())
    }

    /// Its endpoints.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>> {
        let known = || fresh(&self.metadata, KEPT);
        if let Some(metadata) = known() {
            return Ok(metadata);
        }
        let _reading = self.reading.lock().await;
        match known() {
            Some(metadata) => Ok(metadata),
            None => self.unless_down(self.read_metadata()).await,
        }
    }

    /// Runs a reading, unless one failed a moment ago.
    async fn unless_down<T>(&self, reading: impl Future<Output = Result<T>>) -> Result<T> {
        let failed_at = *self.failed_at.lock();
        if failed_at.is_some_and(|at| at.elapsed() < DOWN) {
            return Err(Error::Down);
        }
        let read = reading.await;
        *self.failed_at.lock() = read.is_err().then(Instant::now);
        read
    }

    #[instrument(name = "auth.oidc.discover", level = "debug", skip_all)]
    pub(super) async fn read_metadata(&self) -> Result<Arc<Metadata>> {
        let url = format!("{}/.well-known/openid-configuration", self.config.endpoint);
        let metadata: Metadata = self.get_json(&url, None, "its configuration").await?;
        // The issuer must be the configured one (section 4.3).
        if metadata.issuer.trim_end_matches('/') != self.config.endpoint {
            return Err(Error::Protocol(format!(
                "it says that its issuer is {}, so set oidc_endpoint to that",
                words(&metadata.issuer)
            )));
        }
        for (name, url) in [
            ("authorization_endpoint", &metadata.authorization_endpoint),
            ("token_endpoint", &metadata.token_endpoint),
            ("jwks_uri", &metadata.jwks_uri),
        ] {
            self.check_url(url)
                .map_err(|why| Error::Protocol(format!("its {name} {why}")))?;
        }
        let metadata = Arc::new(metadata);
        *self.metadata.lock() = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Whether an address that the provider names may be used: secrets are not sent in the clear, unless the endpoint
    /// itself is on this machine.
    fn check_url(&self, url: &str) -> Result<Uri, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "is no address")?;
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.config.endpoint.starts_with("http://") => Ok(uri),
            _ => Err("is no https:// address"),
        }
    }

    /// Its public keys for signatures; `again` if the wanted key is not among the known ones.
    pub(super) async fn keys(&self, again: bool) -> Result<Arc<Vec<Jwk>>> {
        let known = || fresh(&self.keys, if again { REFETCH } else { KEPT });
        if let Some(keys) = known() {
            return Ok(keys);
        }
        // Before the lock, because it takes the lock itself.
        self.metadata().await?;
        let _reading = self.reading.lock().await;
        match known() {
            Some(keys) => Ok(keys),
            None => self.unless_down(self.read_keys()).await,
        }
    }

    #[instrument(name = "auth.oidc.keys", level = "debug", skip_all)]
    pub(super) async fn read_keys(&self) -> Result<Arc<Vec<Jwk>>> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let known = fresh(&self.metadata, KEPT);
        let metadata = match known {
            Some(metadata) => metadata,
            None => self.read_metadata().await?,
        };
        let set: Set = self.get_json(&metadata.jwks_uri, None, "its keys").await?;
        let keys = set.keys.into_iter().take(MOST_KEYS);
        // Keys that do not parse cannot sign accepted tokens.
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Jwk> = keys.filter(is_for_signatures).collect();
        let keys = Arc::new(keys);
        *self.keys.lock() = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }

    /// The tokens for a code.
    ///
    /// # Errors
    /// [`Error::Refused`] if the code is not accepted.
    #[instrument(name = "auth.oidc.exchange", level = "debug", skip_all)]
    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<Tokens> {
        let redirect = self.config.redirect_uri();
        self.grant(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// New tokens for a refresh token.
    ///
    /// # Errors
    /// [`Error::Refused`] if the provider no longer confirms its owner.
    #[instrument(name = "auth.oidc.refresh", level = "debug", skip_all)]
    pub(super) async fn refresh(&self, token: &Secret) -> Result<Tokens> {
        self.grant(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose()),
        ])
        .await
    }

    async fn grant(&self, parameters: &[(&str, &str)]) -> Result<Tokens> {
        let metadata = self.metadata().await?;
        let (id, secret) = (&*self.config.client_id, self.config.client_secret.expose());
        let methods = &metadata.token_endpoint_auth_methods_supported;
        // The default is Basic (Discovery, section 3).
        let takes_basic =
            methods.is_empty() || methods.iter().any(|it| it == "client_secret_basic");
        let mut form = encoded(parameters);
        let mut authorization = None;
        match (secret.is_empty(), takes_basic) {
            (true, _) => form = format!("{form}&{}", encoded(&[("client_id", id)])),
            (false, true) => authorization = Some(basic(id, secret)?),
            (false, false) => {
                let pair = encoded(&[("client_id", id), ("client_secret", secret)]);
                form = format!("{form}&{pair}");
            }
        }
        let mut request = Request::post(&metadata.token_endpoint)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let (status, body) = self.send(request, form.into()).await?;
        if status == StatusCode::OK {
            return parsed(&body, "its tokens");
        }
        Err(refusal(status, &body))
    }

    /// The provider's claims about the owner of an access token; `None` if it has no such endpoint.
    #[instrument(name = "auth.oidc.userinfo", level = "debug", skip_all)]
    pub(super) async fn userinfo(&self, access_token: &Secret) -> Result<Option<Claims>> {
        let metadata = self.metadata().await?;
        let Some(url) = &metadata.userinfo_endpoint else {
            return Ok(None);
        };
        self.get_json(url, Some(access_token), "what it says of the user")
            .await
            .map(Some)
    }

    async fn get_json<T: for<'de> Deserialize<'de>>(
        &self,
        url: &str,
        bearer: Option<&Secret>,
        what: &str,
    ) -> Result<T> {
        let mut request = Request::get(url).header(ACCEPT, "application/json");
        if let Some(token) = bearer {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
            let mut value =
                value.map_err(|_| Error::Protocol("its access token is no token".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let (status, body) = self.send(request, Bytes::new()).await?;
        if status != StatusCode::OK {
            return Err(Error::Protocol(format!(
                "it answers {} where {what} should be",
                status.as_u16()
            )));
        }
        parsed(&body, what)
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let request = request
            .body(body)
            .map_err(|_| Error::Protocol("it names an address that is none".to_owned()))?;
        let trust = self
            .check_url(&request.uri().to_string())
            .map(|uri| self.trust(&uri))
            .map_err(|why| Error::Protocol(format!("an address that it names {why}")))?;
        let answer = self.http.send(request, trust).await;
        let answer = answer.map_err(Error::Unreachable)?;
        Ok((answer.status(), answer.into_body()))
    }

    /// The trust in an address: that of the endpoint, if it is the same server; otherwise none, since a provider must
    /// not lead into this network.
    fn trust(&self, uri: &Uri) -> Trust {
        let endpoint: Option<Uri> = self.config.endpoint.parse().ok();
        let is_same = endpoint.is_some_and(|endpoint| {
            endpoint.scheme() == uri.scheme() && endpoint.authority() == uri.authority()
        });
        match is_same {
            true => self.config.trust,
            false => Trust::Guarded,
        }
    }
}

/// The cached value, unless it is too old.
fn fresh<T>(read: &Mutex<Option<(Instant, Arc<T>)>>, kept: Duration) -> Option<Arc<T>> {
    let read = read.lock();
    let (at, what) = read.as_ref()?;
    (at.elapsed() < kept).then(|| what.clone())
}

fn is_for_signatures(key: &Jwk) -> bool {
    let is_public = match &key.algorithm {
        AlgorithmParameters::RSA(_)
        | AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_) => true,
        // A key that the provider shares with everyone proves nothing.
        _ => false,
    };
    is_public && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
}

/// Why the token endpoint gave nothing.
fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return Error::Protocol(format!(
            "it answers {} where tokens should be",
            status.as_u16()
        ));
    };
    let description = refusal.error_description.unwrap_or_default();
    let said = match description.is_empty() {
        true => words(&refusal.error),
        false => format!("{} ({})", words(&refusal.error), words(&description)),
    };
    match &*refusal.error {
        // What providers say of an account that is disabled, or must do something on their pages first (Core, section
        // 3.1.2.6).
        "invalid_grant"
        | "access_denied"
        | "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required" => Error::Refused(said),
        "invalid_client" | "unauthorized_client" | "invalid_scope" | "unsupported_grant_type" => {
            Error::Client(said)
        }
        _ => Error::Protocol(said),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|_| Error::Protocol(format!("{what} is not the JSON that it should be")))
}

/// A message of the provider, cut and cleaned for display.
pub(super) fn words(text: &str) -> String {
    let visible = text.chars().filter(|it| !it.is_control());
    visible.take(LONGEST_WORDS).collect()
}

/// RFC 6749, section 2.3.1: both are encoded as in a form first.
fn basic(id: &str, secret: &str) -> Result<HeaderValue> {
    let pair = format!("{}:{}", escaped(id), escaped(secret));
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    let mut value = value.map_err(|_| Error::Settings("oidc_client_secret is no secret".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Pairs, encoded for a form or a query.
pub(super) fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let and = if text.is_empty() { "" } else { "&" };
        let _ = write!(text, "{and}{}={}", escaped(name), escaped(value));
    }
    text
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_everybody_has_signs_nothing() {
        let key = |json: Value| serde_json::from_value::<Jwk>(json).unwrap();
        let rsa = serde_json::json!({ "kty": "RSA", "n": "sXch", "e": "AQAB", "use": "sig" });
        assert!(is_for_signatures(&key(rsa.clone())));
        let mut encryption = rsa;
        encryption["use"] = "enc".into();
        assert!(!is_for_signatures(&key(encryption)));
        let shared = serde_json::json!({ "kty": "oct", "k": "c2VjcmV0" });
        assert!(!is_for_signatures(&key(shared)));
    }

    #[test]
    fn what_the_provider_refuses_is_told_apart() {
        let of = |body: &str| refusal(StatusCode::BAD_REQUEST, body.as_bytes());
        assert!(matches!(
            of(r#"{"error":"invalid_grant"}"#),
            Error::Refused(_)
        ));
        assert!(matches!(
            of(r#"{"error":"invalid_client"}"#),
            Error::Client(_)
        ));
        assert!(matches!(of("<html>"), Error::Protocol(_)));
        let long = format!(
            r#"{{"error":"invalid_grant","error_description":"{}"}}"#,
            "x".repeat(9_000)
        );
        assert!(of(&long).to_string().len() < 500);
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(
            encoded(&[("a", "b c"), ("d", "&=ä")]),
            "a=b%20c&d=%26%3D%C3%A4"
        );
    }
}
