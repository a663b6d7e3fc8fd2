//! What another registry does not do, and what to do about it.

use http::StatusCode;
use serde::Deserialize;

/// What another registry does not do. Messages say what to do; those of the registry itself are repeated, shortened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none.
    #[error("{0:?} is no URL of a registry: https://HOST[:PORT], or http:// without encryption")]
    Url(String),
    /// It cannot be reached.
    #[error("{0} cannot be reached: {1}; check its URL, its name in DNS, and what stands between")]
    Unreachable(String, String, #[source] outgoing::Error),
    /// It does not answer.
    #[error("{0} did not answer within {1} s; check its URL, and what stands between")]
    Silent(String, u64),
    /// Its certificate is not trusted.
    #[error(
        "{0} has a certificate that is not trusted, or speaks no TLS ({1}): give its authority as ca_certificate, or set insecure to believe whoever answers"
    )]
    Certificate(String, String, #[source] outgoing::Error),
    /// Certificates that were given cannot be read.
    #[error("ca_certificate: {0}")]
    Authority(String),
    /// It lies in a network to which nothing connects.
    #[error(
        "{0} is at an address to which nothing connects, unless [outgoing] allow names its network"
    )]
    Inwards(String),
    /// It sends elsewhere where nothing connects.
    #[error(
        "{from} redirects to {to}, at an address to which nothing connects: if it stores its blobs there, name that network in [outgoing] allow"
    )]
    RedirectedInwards {
        /// The registry.
        from: String,
        /// Where it sends.
        to: String,
    },
    /// It sends elsewhere without encryption, or in circles.
    #[error("{0} redirects {1}")]
    Redirected(String, &'static str),
    /// It does not take the credentials.
    #[error(
        "{0} refuses the credentials: check access key and secret, and whether the account is locked or expired"
    )]
    Credentials(String),
    /// The account may not do it.
    #[error("{host} does not permit the account to {what}: give it that right there{message}")]
    Denied {
        /// The registry.
        host: String,
        /// What it may not do.
        what: String,
        /// What the registry says.
        message: String,
    },
    /// There is no room left.
    #[error("{host} has no room left: raise the quota there, or delete something{message}")]
    Full {
        /// The registry.
        host: String,
        /// What the registry says.
        message: String,
    },
    /// It asks for fewer requests.
    #[error(
        "{host} asks for fewer requests (429), also after {attempts} attempts: lower the speed, run it less often, or use an account with a higher limit"
    )]
    Throttled {
        /// The registry.
        host: String,
        /// How often it was asked.
        attempts: u32,
    },
    /// It fails.
    #[error(
        "{host} fails with status {status} when it is to {what}, also after {attempts} attempts: look into its log{message}"
    )]
    Failing {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
        /// Its status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
        /// What the registry says.
        message: String,
    },
    /// It refuses a request.
    #[error("{host} refuses to {what} with status {status}{message}")]
    Refused {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
        /// Its status.
        status: u16,
        /// What the registry says.
        message: String,
    },
    /// It takes no artifacts of a kind.
    #[error("{host} takes no artifacts of this kind: it refuses to {what}{message}")]
    Kind {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
        /// What the registry says.
        message: String,
    },
    /// It does not have it.
    #[error("{host} does not have {what}")]
    Missing {
        /// The registry.
        host: String,
        /// What.
        what: String,
    },
    /// It answers that there is no such thing, though not as a registry does.
    #[error(
        "{host} answers 404 when it is to {what}, without the error of a registry: check its URL, and what stands between"
    )]
    NoAnswer {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
    },
    /// A list does not end, or is larger than what is read.
    #[error("{host} is to {what}, and its list is longer than {most}: narrow the policy's filters")]
    Endless {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
        /// What is read at most.
        most: String,
    },
    /// An answer ends too early, also when it is asked for the rest.
    #[error(
        "{host} sent {got} of {expected} bytes of {what} and no more, also when asked for the rest: check it there, or what stands between"
    )]
    Truncated {
        /// The registry.
        host: String,
        /// What.
        what: String,
        /// Its size.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The bytes are others than were asked for.
    #[error(
        "{host} sent other bytes than those of {what}: what it stores is damaged, or somebody changes it on the way"
    )]
    WrongBytes {
        /// The registry.
        host: String,
        /// What.
        what: String,
    },
    /// It does not answer as the specification says.
    #[error("{host} does not answer as a registry does when it is to {what}: {problem}")]
    Protocol {
        /// The registry.
        host: String,
        /// What it was to do.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// What was to be sent there could not be read.
    #[error("what was to be sent to {0} could not be read: {1}")]
    Source(String, String),
    /// The database, or a secret, of this installation.
    #[error("the stored registry cannot be read")]
    Stored(#[from] tenancy::Error),
    /// The database of this installation.
    #[error("the database did not serve the registry")]
    Database(#[from] db::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What could not be connected to, or broke off.
    pub(crate) fn of_connection(host: &str, error: outgoing::Error) -> Self {
        let host = host.to_owned();
        match error.innermost() {
            outgoing::Error::Forbidden(_) => Self::Inwards(host),
            outgoing::Error::Handshake(why) => Self::Certificate(host, why.to_string(), error),
            inner => {
                let why = chain(inner);
                Self::Unreachable(host, why, error)
            }
        }
    }

    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(..)
                | Self::Silent(..)
                | Self::Throttled { .. }
                | Self::Failing { .. }
                | Self::Truncated { .. }
                | Self::NoAnswer { .. }
                | Self::Source(..)
                | Self::Database(_)
        )
    }
}

/// An error and its causes, on one line.
fn chain(error: &outgoing::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Bytes of what a registry says that are repeated.
const LONGEST: usize = 300;

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Code and message of the first refusal of a body.
fn first_refusal(body: &[u8]) -> (String, String) {
    let refusals = serde_json::from_slice::<Refusals>(body).ok();
    let first = refusals.and_then(|refusals| refusals.errors.into_iter().next());
    let Some(first) = first else {
        return Default::default();
    };
    let mut message = first.message.replace(char::is_control, " ");
    message.truncate(message.floor_char_boundary(LONGEST));
    (first.code, message)
}

/// Whether the body of a 404 is that of a registry, or of Harbor, that does not have something. Others come from what
/// stands between, or from something else that answers in its place.
pub(crate) fn is_registrys(body: &[u8]) -> bool {
    let (code, _) = first_refusal(body);
    ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"].contains(&code.as_str())
}

/// What a registry says where it does not take the kind of a manifest: 415, or the code for what it does not support with
/// words about types. Without these, it is that of a registry that takes nothing at all, such as a mirror.
pub(crate) fn refused_kind(status: StatusCode, body: &[u8]) -> Option<String> {
    let (code, text) = first_refusal(body);
    let plain = text.to_lowercase().replace([' ', '-', '_'], "");
    let is_of_kind = ["mediatype", "artifacttype", "manifesttype", "configtype"]
        .iter()
        .any(|word| plain.contains(word));
    let is_unsupported =
        [400, 405, 422].contains(&status.as_u16()) && code == "UNSUPPORTED" && is_of_kind;
    let is_refused = status == StatusCode::UNSUPPORTED_MEDIA_TYPE || is_unsupported;
    is_refused.then(|| said(&text))
}

/// What a registry says, at the end of a message.
fn said(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("; it says: {text}"),
    }
}

/// An answer that is no success, as an error.
pub(crate) fn of_status(
    host: &str,
    what: &str,
    (status, body): (StatusCode, &[u8]),
    attempts: u32,
) -> Error {
    let (code, text) = first_refusal(body);
    let (host, what) = (host.to_owned(), what.to_owned());
    let message = said(&text);
    let is_full = [
        "quota",
        "insufficient storage",
        "no space left",
        "exceed the configured upper limit",
    ]
    .iter()
    .any(|word| text.to_lowercase().contains(word))
        || code == "PROJECTPOLICYVIOLATION" && text.to_lowercase().contains("exceed");
    match status.as_u16() {
        507 => Error::Full { host, message },
        _ if is_full => Error::Full { host, message },
        401 => Error::Credentials(host),
        403 => Error::Denied {
            host,
            what,
            message,
        },
        404 => Error::Missing { host, what },
        429 => Error::Throttled { host, attempts },
        status if status >= 500 => Error::Failing {
            host,
            what,
            status,
            attempts,
            message,
        },
        status => Error::Refused {
            host,
            what,
            status,
            message,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_says_that_it_does_not_have_something() {
        for code in ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"] {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"x"}}]}}"#);
            assert!(is_registrys(body.as_bytes()), "{code}");
        }
        for other in [
            "",
            "default backend - 404",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{"code":"UNAVAILABLE"}]}"#,
        ] {
            assert!(!is_registrys(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_kind_that_is_not_taken_is_no_other_refusal() {
        let refused = |status: u16, code: &str, text: &str| {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{text}"}}]}}"#);
            refused_kind(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        let (typed, untyped) = ("Media type of charts", "The operation is unsupported.");
        let says = |text: &str| Some(format!("; it says: {text}"));
        for status in [400, 405, 422] {
            assert_eq!(refused(status, "UNSUPPORTED", typed), says(typed));
        }
        assert_eq!(refused(415, "MANIFEST_INVALID", untyped), says(untyped));
        for (status, code, text) in [
            (400, "MANIFEST_INVALID", typed),
            (403, "UNSUPPORTED", typed),
            (500, "UNSUPPORTED", typed),
            (400, "UNSUPPORTED", untyped),
            (405, "UNSUPPORTED", untyped),
        ] {
            assert_eq!(refused(status, code, text), None, "{status} {code} {text}");
        }
    }

    #[test]
    fn a_status_says_what_is_wrong() {
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            of_status("r.test", "push", (status, body.as_bytes()), 1)
        };
        assert!(matches!(of(401, ""), Error::Credentials(_)));
        assert!(matches!(of(403, ""), Error::Denied { .. }));
        assert!(matches!(of(429, ""), Error::Throttled { .. }));
        assert!(matches!(of(500, "x"), Error::Failing { .. }));
        assert!(matches!(of(507, ""), Error::Full { .. }));
        let quota = r#"{"errors":[{"code":"DENIED","message":"project quota exceeded"}]}"#;
        assert!(matches!(of(403, quota), Error::Full { .. }));
        let limit = r#"{"errors":[{"code":"DENIED","message":"adding 2.0 KiB of storage resource, which when updated to current usage of 94.0 B will exceed the configured upper limit of 1000.0 B."}]}"#;
        assert!(matches!(of(403, limit), Error::Full { .. }));
        let other = r#"{"errors":[{"code":"TAG_INVALID","message":"no\n such"}]}"#;
        let text = of(400, other).to_string();
        assert!(text.contains("it says: no  such"), "{text}");
    }
}
