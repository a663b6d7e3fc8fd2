//! What a client saw, and whether that is one of the ways in which a server may fail.

use std::fmt;

/// An answer, or as much of it as came.
#[derive(Default)]
pub(super) struct Answer {
    /// 0 where no answer began.
    pub(super) status: u16,
    /// Whether it came to its end.
    pub(super) is_whole: bool,
    pub(super) is_head: bool,
    /// Whether it says when to try again.
    pub(super) retries: bool,
    pub(super) range: Option<String>,
    pub(super) location: Option<String>,
    /// Of all that came.
    pub(super) digest: String,
    /// Of an error.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Sorts the answer; an error where no server may answer so.
    pub(super) fn seen(&self) -> Result<Seen, String> {
        match self.status {
            status if !self.is_whole => Ok(Seen::Cut(status)),
            status @ 100..400 => Ok(Seen::Done(status)),
            _ => self.refusal(),
        }
    }

    fn refusal(&self) -> Result<Seen, String> {
        let (status, body) = (self.status, String::from_utf8_lossy(&self.body));
        // The answer to HEAD has a head alone.
        let code = match self.is_head {
            true => String::new(),
            false => code_in(&body).ok_or(format!("{status} without an OCI error: {body}"))?,
        };
        if status >= 500 && !self.retries {
            return Err(format!("{status} {code} without Retry-After"));
        }
        Ok(Seen::Refused { status, code })
    }
}

/// The code of an OCI error.
fn code_in(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    body["errors"][0]["code"].as_str().map(str::to_owned)
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

    fn answer(status: u16, retries: bool, body: &str, is_whole: bool) -> Result<Seen, String> {
        let answer = Answer {
            status,
            retries,
            is_whole,
            body: body.into(),
            ..Answer::default()
        };
        answer.seen()
    }

    const OCI: &str = r#"{"errors":[{"code":"UNAVAILABLE","message":"m"}]}"#;

    #[test]
    fn only_clean_errors_pass() {
        let seen = answer(503, true, OCI, true).unwrap();
        assert_eq!(seen.to_string(), "503 UNAVAILABLE, Retry-After");
        assert!(Want::Unavailable.check(&seen).is_ok());
        assert!(Want::Whole.check(&seen).is_err());
        assert!(answer(503, false, OCI, true).is_err());
        assert!(answer(503, true, "oops", true).is_err());
        assert!(answer(404, false, "", true).is_err());
    }

    #[test]
    fn a_cut_is_told_from_a_success() {
        assert_eq!(answer(200, false, "ab", false), Ok(Seen::Cut(200)));
        assert_eq!(answer(0, false, "", false), Ok(Seen::Cut(0)));
        assert_eq!(answer(200, false, "", true), Ok(Seen::Done(200)));
    }
}
