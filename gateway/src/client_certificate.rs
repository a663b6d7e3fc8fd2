//! Who calls by a client certificate. It is checked at each request, since a resumed session skips the handshake's
//! check and connections stay open; rules of projects say what it may do. It counts only for requests without other
//! credentials, and never for those that a page of another site makes a browser send.

use std::time::{Duration, Instant};

use auth::workload::{Admitted, CertificateOwner};
use certs::{ClientCertificate, Refused};
use db::Age;
use http::header::{HeaderMap, HeaderName, ORIGIN};
use model::Timestamp;
use parking_lot::Mutex;
use policy::Caller;
use serde_json::{Map, Value, json};

use crate::app::App;

/// How long the rules that a certificate meets are remembered. Rules that are changed or deleted count at once.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Where a browser says a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request with a certificate has no caller.
#[derive(Debug)]
pub(crate) enum NotCaller {
    /// The certificate is not accepted any more.
    Refused(Refused),
    /// The caller could not be determined.
    Unknown(auth::Error),
}

/// The certificate that a client presented on a connection.
#[derive(Debug)]
pub(crate) struct Shown {
    certificate: ClientCertificate,
    /// The rules that it met, and when they were looked for.
    admitted: Mutex<Option<(Instant, Option<Admitted>)>>,
    /// Why it was refused last; `None` once it is accepted again.
    refused: Mutex<Option<Refused>>,
}

impl Shown {
    /// A certificate that a handshake accepted, now or earlier.
    pub(crate) fn new(certificate: ClientCertificate) -> Self {
        Self {
            certificate,
            admitted: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Fails if the certificate is not accepted any more. That is logged once, and not at each request.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn check(&self, app: &App) -> Result<(), Refused> {
        let checked = app
            .tls
            .check(&self.certificate, app.clock.now().date_time());
        let refused = checked.err();
        let before = std::mem::replace(&mut *self.refused.lock(), refused);
        if let Some(refused) = refused.filter(|_| refused != before) {
            tracing::info!(
                certificate.serial = self.certificate.serial(),
                certificate.issuer = self.certificate.issuer(),
                reason = %refused,
                "a client certificate is refused"
            );
        }
        checked
    }

    /// The caller of a request: whoever its other credentials name, or the owner of the certificate.
    ///
    /// # Errors
    /// [`NotCaller::Refused`] whatever the other credentials are, and when the database cannot be read.
    pub(crate) async fn caller(
        &self,
        app: &App,
        (caller, headers): (Caller, &HeaderMap),
        age: Age,
    ) -> Result<Caller, NotCaller> {
        self.check(app).map_err(NotCaller::Refused)?;
        if caller.is_signed_in() || is_of_another_site(headers) {
            return Ok(caller);
        }
        let Some(admitted) = self.admitted(app).await.map_err(NotCaller::Unknown)? else {
            return Ok(caller);
        };
        let Some(address) = caller.address else {
            return Ok(caller);
        };
        let bound = app.identity.by_certificate(&admitted, address, age).await;
        let bound = bound.map_err(NotCaller::Unknown)?;
        // What the history keeps of the program is the same.
        let client = caller.client.clone();
        Ok(bound.map_or(caller, |bound| bound.with(client)))
    }

    async fn admitted(&self, app: &App) -> auth::Result<Option<Admitted>> {
        let known = self.admitted.lock().clone();
        if let Some((at, admitted)) = known
            && at.elapsed() < REMEMBERED
        {
            return Ok(admitted);
        }
        let owner = owner(&self.certificate);
        let admitted = app.identity.workloads().admit_certificate(&owner).await?;
        *self.admitted.lock() = Some((Instant::now(), admitted.clone()));
        Ok(admitted)
    }
}

/// A browser sends its certificate with every request, whoever made it do so.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    match site {
        Some(site) => site != b"same-origin" && site != b"none",
        None => headers.contains_key(ORIGIN),
    }
}

fn owner(certificate: &ClientCertificate) -> CertificateOwner {
    let end = certificate.not_after().unix_timestamp();
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    claim("issuer", certificate.issuer().into());
    claim("serial", certificate.serial().into());
    claim("san", json!(certificate.subjects()));
    claim("o", json!(certificate.organizations()));
    claim("ou", json!(certificate.units()));
    if let Some(name) = certificate.common_name() {
        claim("cn", name.into());
    }
    CertificateOwner {
        subjects: certificate.subjects().to_vec(),
        claims,
        expires_at: Timestamp(end.saturating_mul(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_cannot_use_the_certificate_of_a_browser() {
        let of = |name: HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            is_of_another_site(&headers)
        };
        assert!(!is_of_another_site(&HeaderMap::new()));
        assert!(!of(FETCH_SITE, "same-origin") && !of(FETCH_SITE, "none"));
        assert!(of(FETCH_SITE, "cross-site") && of(FETCH_SITE, "same-site"));
        assert!(of(ORIGIN, "https://evil.example"));
    }
}
