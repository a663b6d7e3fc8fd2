//! Why an attempt failed, and how long to wait after it.

use std::time::Duration;

use instant_acme::{Error as Acme, Problem};

use super::LONGEST_WAIT;
use super::client::Limited;

/// The wait after the server limited our requests without saying for how long.
const LIMITED: Duration = Duration::from_secs(3_600);

/// What went wrong, for metrics and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The server cannot be reached, or its certificate is not trusted.
    Unreachable,
    /// The server refuses further requests for a time.
    RateLimited,
    /// The account was revoked or deactivated, or the server makes none.
    Account,
    /// Our own address does not give the proof, so the server was not asked to look.
    OwnAddress,
    /// The server did not find the proof.
    Validation,
    /// The server issues no certificate for these names.
    Rejected,
    /// The program for DNS records failed.
    Command,
    /// The certificate that was issued is not valid by our clock.
    Clock,
    /// The server failed, or its answer cannot be used.
    Server,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::RateLimited,
        Self::Account,
        Self::OwnAddress,
        Self::Validation,
        Self::Rejected,
        Self::Command,
        Self::Clock,
        Self::Server,
    ];

    /// Its name in metrics, in the API and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Account => "account",
            Self::OwnAddress => "own_address",
            Self::Validation => "validation",
            Self::Rejected => "rejected",
            Self::Command => "command",
            Self::Clock => "clock",
            Self::Server => "server",
        }
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// What happened, and what to do.
    pub(super) message: String,
    /// How long the server asked us to wait.
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The failure of a request; `doing` says what it was for.
    pub(super) fn of(doing: &str, error: &Acme) -> Self {
        match error {
            Acme::Api(problem) => Self::of_problem(doing, problem),
            Acme::Other(cause) => match cause.downcast_ref::<Limited>() {
                Some(limited) => Self {
                    reason: match limited.status {
                        429 => Reason::RateLimited,
                        _ => Reason::Server,
                    },
                    message: format!("cannot {doing}: {limited}"),
                    retry_after: limited.retry_after,
                },
                None => Self::new(Reason::Unreachable, told(doing, &**cause)),
            },
            Acme::Timeout(_) => Self::new(
                Reason::Server,
                format!("cannot {doing}: the server did not finish in time"),
            ),
            other => Self::new(Reason::Server, told(doing, other)),
        }
    }

    fn of_problem(doing: &str, problem: &Problem) -> Self {
        Self::new(
            reason(problem),
            format!("cannot {doing}: {}", sentence(problem)),
        )
    }

    /// The server did not find a proof.
    pub(super) fn validation(name: &str, problem: Option<&Problem>) -> Self {
        let said = problem.map_or_else(|| "it does not say why".to_owned(), sentence);
        Self::new(
            Reason::Validation,
            format!("the server cannot verify {name}: {said}"),
        )
    }

    /// How long to wait after this many failures in a row: twice as long after each, up to six hours, a quarter more or
    /// less.
    pub(super) fn wait(&self, failures: i64, first: Duration) -> Duration {
        let doublings = failures.clamp(1, 30) as u32 - 1;
        let doubled = first.saturating_mul(2_u32.saturating_pow(doublings));
        let doubled = doubled
            .min(LONGEST_WAIT)
            .mul_f64(0.75 + super::renewal::chance() / 2.0);
        match (self.reason, self.retry_after) {
            (_, Some(asked)) => asked.max(Duration::from_secs(1)),
            (Reason::RateLimited, None) => doubled.max(LIMITED),
            _ => doubled,
        }
    }

    /// True if the order is over, so that the next attempt makes a new one.
    pub(super) const fn ends_order(&self) -> bool {
        match self.reason {
            Reason::Unreachable | Reason::RateLimited | Reason::Server => false,
            Reason::OwnAddress | Reason::Command => false,
            Reason::Account | Reason::Validation | Reason::Rejected | Reason::Clock => true,
        }
    }
}

/// The reason by the type of a problem (RFC 8555, section 6.7).
fn reason(problem: &Problem) -> Reason {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    match kind.rsplit(':').next().unwrap_or_default() {
        "rateLimited" => Reason::RateLimited,
        "accountDoesNotExist"
        | "externalAccountRequired"
        | "userActionRequired"
        | "invalidContact"
        | "unsupportedContact"
        | "unauthorized" => Reason::Account,
        "rejectedIdentifier" | "unsupportedIdentifier" | "caa" | "badCSR" | "invalidProfile" => {
            Reason::Rejected
        }
        "dns" | "connection" | "tls" | "incorrectResponse" => Reason::Validation,
        _ if problem.status == Some(429) => Reason::RateLimited,
        _ => Reason::Server,
    }
}

/// What a problem says, with those of its single names.
pub(super) fn sentence(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("about:blank");
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let mut text = format!(
        "{} ({kind})",
        problem.detail.as_deref().unwrap_or("no detail")
    );
    for part in &problem.subproblems {
        if let Some(detail) = &part.detail {
            text.push_str("; ");
            text.push_str(detail);
        }
    }
    text
}

/// An error with all its causes on one line.
fn told(doing: &str, error: &(dyn std::error::Error + 'static)) -> String {
    format!("cannot {doing}: {}", crate::failures::causes(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, status: u16) -> Problem {
        let problem = serde_json::json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "why", "status": status,
        });
        serde_json::from_value(problem).unwrap()
    }

    #[test]
    fn waits_double_to_hours_and_heed_the_server() {
        let failed = Failure::new(Reason::Validation, "");
        let minute = Duration::from_secs(60);
        for (failures, about) in [(1, 60), (2, 120), (5, 960), (9, 15_360), (30, 21_600)] {
            let wait = failed.wait(failures, minute).as_secs_f64() / f64::from(about);
            assert!((0.74..=1.26).contains(&wait), "{failures}: {wait}");
        }
        let limited = Failure::of("order", &Acme::Api(problem("rateLimited", 429)));
        assert!(limited.wait(1, minute) >= LIMITED);
        let asked = Limited {
            status: 429,
            retry_after: Some(Duration::from_secs(604_800)),
            body: String::new(),
        };
        let asked = Failure::of("order", &Acme::Other(Box::new(asked)));
        assert_eq!(asked.reason, Reason::RateLimited);
        assert_eq!(asked.wait(1, minute), Duration::from_secs(604_800));
    }

    #[test]
    fn each_problem_has_its_reason() {
        for (kind, status, reason) in [
            ("rateLimited", 429, Reason::RateLimited),
            ("whatever", 429, Reason::RateLimited),
            ("unauthorized", 403, Reason::Account),
            ("accountDoesNotExist", 400, Reason::Account),
            ("rejectedIdentifier", 400, Reason::Rejected),
            ("serverInternal", 500, Reason::Server),
            ("dns", 400, Reason::Validation),
        ] {
            let failure = Failure::of("order", &Acme::Api(problem(kind, status)));
            assert_eq!(failure.reason, reason, "{kind}");
            assert!(failure.message.contains("why") && failure.message.contains(kind));
        }
        let said = Failure::validation("a.example", Some(&problem("unauthorized", 403)));
        assert_eq!(said.reason, Reason::Validation);
        assert!(said.message.contains("a.example") && said.message.contains("why"));
    }
}
