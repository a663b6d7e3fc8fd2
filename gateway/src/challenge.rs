//! Answers the questions of an ACME server. The proofs are in the database, so every replica can answer.

use std::sync::Arc;

use certs::{ChallengeCertificate, SubjectName};
use db::acme::{Challenge, proof};
use http::{HeaderValue, Response, StatusCode, header};
use jobs::acme::{PATH, digest};
use rustls::ServerConfig;

use crate::app::App;
use crate::http::answer::envelope;
use crate::http::response_body::Body;

/// Maximum length of a token.
const LONGEST_TOKEN: usize = 128;

/// The token that a path asks for, if certificates are obtained by ACME.
pub(crate) fn token<'a>(app: &App, path: &'a str) -> Option<&'a str> {
    app.acme.as_ref()?;
    let token = path.strip_prefix(PATH)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let valid = (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(is_plain);
    valid.then_some(token)
}

/// The proof for a token, over HTTP.
pub(crate) async fn answer(app: &App, token: &str) -> Response<Body> {
    match stored(app, Challenge::Http, token).await {
        Ok(Some(proof)) => {
            let mut response = Response::new(Body::full(proof.into_bytes()));
            let plain = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            response
        }
        Ok(None) => envelope(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "no ACME server is expected to ask for this",
        ),
        Err(error) => {
            tracing::warn!(%error, "an ACME server was not answered");
            let text = "the database does not answer";
            envelope(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", text)
        }
    }
}

/// The handshake that proves a name, if it is to be proved.
pub(crate) async fn config(app: &App, name: &str) -> Option<Arc<ServerConfig>> {
    app.acme.as_ref()?;
    let subject: SubjectName = name.parse().ok()?;
    let proof = match stored(app, Challenge::TlsAlpn, &subject.to_string()).await {
        Ok(proof) => proof?,
        Err(error) => {
            tracing::warn!(%error, "an ACME server was not answered");
            return None;
        }
    };
    let certificate = ChallengeCertificate::new(&subject, &digest(&proof)).ok()?;
    app.tls.answer(&certificate).ok()
}

async fn stored(app: &App, kind: Challenge, subject: &str) -> db::Result<Option<String>> {
    proof(&mut app.db.reader().await?, kind, subject).await
}
