//! What a client saw, and whether that is one of the ways in which a server may fail.

use std::fmt;

/// An answer as curl got it.
pub(super) struct Answer {
    /// 0 where no answer began.
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// How curl ended.
    pub(super) exit: i32,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// Sorts the answer; an error where no server may answer so.
    pub(super) fn seen(&self) -> Result<Seen, String> {
        if CUT.contains(&self.exit) {
            return Ok(Seen::Cut(self.status));
        }
        match (self.exit, self.status) {
            (0, 100..400) => Ok(Seen::Done(self.status)),
            (0, _) => self.refusal(),
            (28, _) => Err("no answer came within the time, nor was the connection cut".to_owned()),
            (exit, status) => Err(format!("curl ended with {exit} after status {status}")),
        }
    }

    fn refusal(&self) -> Result<Seen, String> {
        let (status, body) = (self.status, String::from_utf8_lossy(&self.body));
        let retry = self.header("retry-after").is_some();
        // The answer to HEAD has a head alone.
        let code = match self.body.is_empty() && self.head.contains("\r\n\r\n") && retry {
            true => String::new(),
            false => code_in(&body).ok_or(format!("{status} without an OCI error: {body}"))?,
        };
        if status >= 500 && !retry {
            return Err(format!("{status} {code} without Retry-After"));
        }
        Ok(Seen::Refused { status, code })
    }
}

/// What curl calls a connection that broke: within a body, before an answer, while sending, while
/// receiving, and a stream or connection of HTTP/2.
const CUT: [i32; 6] = [18, 52, 55, 56, 92, 16];

/// The code of an OCI error.
fn code_in(body: &str) -> Option<String> {
    let (_, errors) = body.split_once(r#""errors""#)?;
    let (_, code) = errors.split_once(r#""code":""#)?;
    code.split_once('"').map(|(code, _)| code.to_owned())
}

/// What the client saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// A success, whole and right.
    Done(u16),
    /// A clean error.
    Refused { status: u16, code: String },
    /// The connection or stream broke, after this status or before any.
    Cut(u16),
    /// A success with bytes that the store changed: the client's digest tells.
    Changed,
    /// Nothing, for it was the client that left.
    Left,
}

impl Seen {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(status) => write!(f, "{status}, whole"),
            Self::Refused { status, code } if *status >= 500 => {
                write!(f, "{status} {code}, Retry-After")
            }
            Self::Refused { status, code } => write!(f, "{status} {code}"),
            Self::Cut(0) => f.write_str("cut before an answer"),
            Self::Cut(status) => write!(f, "{status}, cut"),
            Self::Changed => f.write_str("200, bytes of another digest"),
            Self::Left => f.write_str("(has left)"),
        }
    }
}

/// What a fault must lead to; anything else says that it was not felt, or not as it should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// As if there were no fault.
    Whole,
    /// 503 with Retry-After.
    Unavailable,
    Cut,
    /// This status.
    Status(u16),
    Changed,
    Left,
}

impl Want {
    pub(super) fn check(self, seen: &Seen) -> Result<(), String> {
        let met = match (self, seen) {
            (Self::Whole, Seen::Done(_))
            | (Self::Cut, Seen::Cut(_))
            | (Self::Changed, Seen::Changed)
            | (Self::Left, Seen::Left) => true,
            (Self::Unavailable, Seen::Refused { status, .. }) => *status == 503,
            (Self::Status(wanted), Seen::Refused { status, .. }) => *status == wanted,
            _ => false,
        };
        if met {
            return Ok(());
        }
        Err(format!(
            "the client saw {seen} where {self:?} was to be seen"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Seen, Want};

    fn answer(status: u16, head: &str, body: &str, exit: i32) -> Result<Seen, String> {
        let (head, body) = (format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n"), body.into());
        Answer {
            status,
            head,
            body,
            exit,
        }
        .seen()
    }

    const OCI: &str = r#"{"errors":[{"code":"UNAVAILABLE","message":"m"}]}"#;

    #[test]
    fn only_clean_errors_pass() {
        let seen = answer(503, "Retry-After: 5", OCI, 0).unwrap();
        assert_eq!(seen.to_string(), "503 UNAVAILABLE, Retry-After");
        assert!(Want::Unavailable.check(&seen).is_ok());
        assert!(Want::Whole.check(&seen).is_err());
        assert!(answer(503, "A: b", OCI, 0).is_err());
        assert!(answer(503, "Retry-After: 5", "oops", 0).is_err());
        assert!(answer(404, "A: b", "", 0).is_err());
    }

    #[test]
    fn a_cut_is_told_from_a_wait_without_end() {
        assert_eq!(answer(200, "A: b", "ab", 18), Ok(Seen::Cut(200)));
        assert!(answer(0, "", "", 28).is_err());
        assert!(answer(200, "A: b", "ab", 60).is_err());
    }
}
