//! Asking a receiver, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use db::webhook::target::Target;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use model::WebhookKind;
use outgoing::{Certificate, Posted};

use super::form::media_type;
use super::works::Webhooks;
use crate::failures::causes;

/// The signature of the body, in the form of most receivers: `sha256=` and the digits of an HMAC.
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// The type of event.
const EVENT: HeaderName = HeaderName::from_static("x-gantry-event");
/// The id of the delivery, which stays the same however often it is sent.
const DELIVERY: HeaderName = HeaderName::from_static("x-gantry-delivery");

/// What is sent.
pub(super) struct Message<'a> {
    pub(super) event: &'a str,
    pub(super) delivery: &'a str,
    pub(super) body: &'a str,
}

/// What came of sending something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// How long it took, if it was answered.
    pub(super) took: Option<Duration>,
    pub(super) result: Taken,
}

/// Whether a receiver took what it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It did.
    Yes(u16),
    /// It answered that it never will.
    No(u16, String),
    /// It did not answer, or answered that it cannot now. With the time that it asks to wait.
    NotNow(Option<u16>, String, Option<Duration>),
}

impl Answer {
    /// The status of the answer.
    pub(super) fn status(&self) -> Option<u16> {
        match &self.result {
            Taken::Yes(status) | Taken::No(status, _) => Some(*status),
            Taken::NotNow(status, ..) => *status,
        }
    }

    /// Why it was not taken.
    pub(super) fn error(&self) -> Option<&str> {
        match &self.result {
            Taken::Yes(_) => None,
            Taken::No(_, why) | Taken::NotNow(_, why, _) => Some(why),
        }
    }
}

impl Webhooks {
    /// Sends something.
    pub(super) async fn send(&self, target: &Target, message: &Message<'_>) -> Answer {
        let failed = |why: String| Answer {
            took: None,
            result: Taken::NotNow(None, why, None),
        };
        let headers = match self.headers(target, message) {
            Ok(headers) => headers,
            Err(why) => return failed(why),
        };
        let certificate = match target.insecure {
            true => Certificate::Unverified,
            false => Certificate::Verified,
        };
        let (url, body) = (target.address.url(), Bytes::from(message.body.to_owned()));
        match self.poster.post(&url, (headers, body), certificate).await {
            Ok(posted) => Answer {
                took: Some(posted.took),
                result: taken(posted),
            },
            Err(error) => failed(error.to_string()),
        }
    }

    fn headers(&self, target: &Target, message: &Message<'_>) -> Result<HeaderMap, String> {
        let secrets = tenancy::webhook::secrets_of(target, &self.master);
        let secrets = secrets.map_err(|error| {
            format!(
                "its secrets cannot be opened: give them again ({})",
                causes(&error)
            )
        })?;
        let value = |text: &str| {
            HeaderValue::try_from(text).map_err(|_| "auth_header cannot be sent".to_owned())
        };
        let mut headers = HeaderMap::new();
        let kind = media_type(target.kind, target.format);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(EVENT, value(message.event)?);
        headers.insert(DELIVERY, value(message.delivery)?);
        if let Some(secret) = secrets.secret {
            let signature = format!("sha256={}", secret.sign(message.body.as_bytes()));
            headers.insert(SIGNATURE, value(&signature)?);
        }
        let header = secrets
            .auth_header
            .filter(|_| target.kind == WebhookKind::Http);
        if let Some(header) = header {
            let mut given = value(header.expose())?;
            given.set_sensitive(true);
            headers.insert(AUTHORIZATION, given);
        }
        Ok(headers)
    }
}

fn taken(posted: Posted) -> Taken {
    let Posted {
        status,
        retry_after,
        ..
    } = posted;
    match status {
        200..=299 => Taken::Yes(status),
        408 | 425 | 429 | 500..=599 => {
            let why = format!("the receiver answered with status {status}");
            Taken::NotNow(Some(status), why, retry_after)
        }
        300..=399 => {
            let why = format!(
                "the receiver answered with status {status}: redirects are not followed; set the address to which it redirects"
            );
            Taken::No(status, why)
        }
        401 | 403 => {
            let why = format!(
                "the receiver answered with status {status}: check auth_header and the secret"
            );
            Taken::No(status, why)
        }
        _ => Taken::No(
            status,
            format!("the receiver answered with status {status}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_it_is_worth_another_try() {
        let of = |status| {
            taken(Posted {
                status,
                took: Duration::ZERO,
                retry_after: None,
            })
        };
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status), Taken::Yes(status));
        }
        for status in [301, 302, 400, 401, 404, 410] {
            assert!(matches!(of(status), Taken::No(..)), "{status}");
        }
        for status in [408, 429, 500, 502, 503] {
            assert!(matches!(of(status), Taken::NotNow(..)), "{status}");
        }
    }
}
