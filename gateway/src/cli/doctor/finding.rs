//! What checks find, and how each is run: apart from the others, and not for long.

use std::fmt::Display;
use std::time::Duration;

use anyhow::Context as _;
use jobs::failures::causes;
use serde::Serialize;
use tokio::runtime::Handle;

/// Time limit of a check.
const PATIENCE: Duration = Duration::from_secs(15);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// All is well.
    Ok,
    /// It works, but not for everyone or not for long; or it could not be checked.
    Warning,
    /// It does not work.
    Fail,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fail => "fail",
        }
    }
}

/// One result of a check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) level: Level,
    found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

impl Finding {
    /// The finding on one line.
    pub(super) fn line(&self) -> String {
        let Self { check, found, .. } = self;
        let advice = self.advice.map(|advice| format!(": {advice}"));
        let level = self.level.name();
        format!(
            "{level:<8} {check:<14} {found}{}",
            advice.unwrap_or_default()
        )
    }
}

/// A check.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What to do if it fails.
    pub(super) advice: &'static str,
}

impl Check {
    /// All is well.
    pub(super) fn ok(self, found: impl Display) -> Finding {
        self.finding(Level::Ok, found, None)
    }

    /// Something needs attention.
    pub(super) fn warning(self, found: impl Display, advice: &'static str) -> Finding {
        self.finding(Level::Warning, found, Some(advice))
    }

    /// Something does not work.
    pub(super) fn fail(self, found: impl Display, advice: &'static str) -> Finding {
        self.finding(Level::Fail, found, Some(advice))
    }

    /// The check needs the database, which is not open.
    pub(super) fn unchecked(self) -> Finding {
        let advice = "see what is said of the database";
        self.warning("not checked, as the database is not open", advice)
    }

    /// The check ended with an error.
    pub(super) fn failed(self, error: &anyhow::Error) -> Finding {
        self.fail(causes(error.as_ref()), self.advice)
    }

    /// What the check finds. An error, a panic and too long a wait are findings too.
    pub(super) async fn run<F>(self, look: impl FnOnce() -> F + Send + 'static) -> Vec<Finding>
    where
        F: Future<Output = anyhow::Result<Vec<Finding>>>,
    {
        let found = apart(look).await;
        found.unwrap_or_else(|error| vec![self.failed(&error)])
    }

    fn finding(self, level: Level, found: impl Display, advice: Option<&'static str>) -> Finding {
        Finding {
            check: self.name,
            level,
            found: found.to_string(),
            advice,
        }
    }
}

/// Runs work on a thread of its own: if it hangs, in a system call too, or panics, nothing else does.
///
/// # Errors
/// Those of the work; if it takes too long or panics.
pub(super) async fn apart<T, F>(work: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let handle = Handle::current();
    let done = tokio::task::spawn_blocking(move || handle.block_on(work()));
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(ended) => ended.context("the check broke off")?,
        Err(_) => anyhow::bail!("no answer within {} s", PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Check = Check {
        name: "disk",
        advice: "make room",
    };

    #[test]
    fn a_finding_is_a_line_with_what_to_do() {
        let full = CHECK.fail("/data is full", CHECK.advice);
        assert_eq!(
            full.line(),
            "fail     disk           /data is full: make room"
        );
        assert_eq!(CHECK.ok("empty").line(), "ok       disk           empty");
    }

    #[tokio::test]
    async fn an_error_and_a_panic_are_findings() {
        let error = || std::future::ready(Err(anyhow::anyhow!("no disk")));
        let failed = CHECK.run(error).await;
        assert_eq!(failed[0].level, Level::Fail);
        assert!(failed[0].line().ends_with("no disk: make room"));
        let panic = || -> std::future::Ready<anyhow::Result<Vec<Finding>>> { panic!("a bug") };
        let broken = CHECK.run(panic).await;
        assert!(broken[0].line().contains("broke off"), "{broken:?}");
    }
}
