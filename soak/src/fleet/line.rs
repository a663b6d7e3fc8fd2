//! A client's way to the registry: what it asks is timed, and what fails is noted with the replica that it went to.

use std::cell::Cell;
use std::time::{Duration, Instant};

use testkit::registry::{Failed, Registry};
use tokio::time::sleep;

use super::judge::How;
use super::watch::{Kind, Watch};

/// How long a client waits after a failure: what it asked for may be done in the database meanwhile, but not later.
const RECOVERY: Duration = Duration::from_secs(1);

/// Has one connection at a time, from an address of its own.
pub(super) struct Line<'a> {
    watch: &'a Watch,
    pub(super) registry: Registry,
    address: String,
    /// Whose it is.
    repository: String,
    /// Whether the connection has served a request.
    kept: Cell<bool>,
}

impl<'a> Line<'a> {
    /// From 127.0.0.`last`.
    pub(super) fn new(watch: &'a Watch, registry: &Registry, last: u8, repository: &str) -> Self {
        Self {
            watch,
            registry: registry.calling_from(last),
            address: format!("127.0.0.{last}"),
            repository: repository.to_owned(),
            kept: Cell::new(false),
        }
    }

    /// Asks for something that is not asked twice.
    pub(super) async fn write<T>(
        &self,
        kind: Kind,
        request: impl AsyncFn() -> Result<T, Failed>,
    ) -> Option<T> {
        let began = Instant::now();
        self.noted(kind, began, request().await).await
    }

    /// Asks for something to read. What a kept connection leaves without an answer is asked once more, as clients of
    /// HTTP/1.1 do.
    pub(super) async fn read<T>(&self, request: impl AsyncFn() -> Result<T, Failed>) -> Option<T> {
        let began = Instant::now();
        let mut done = request().await;
        let unanswered = done.as_ref().err().filter(|error| is_unanswered(error));
        if let Some(error) = unanswered.filter(|_| self.kept.get()) {
            self.fail(How::Unanswered, Kind::Pull, error);
            done = request().await;
        }
        self.noted(Kind::Pull, began, done).await
    }

    /// Notes how long it took or why it failed.
    async fn noted<T>(&self, kind: Kind, began: Instant, done: Result<T, Failed>) -> Option<T> {
        self.kept.set(done.is_ok());
        match done {
            Ok(value) => {
                self.watch.done(kind, began);
                Some(value)
            }
            Err(error) => {
                let cut = matches!(error, Failed::Cut(_));
                self.fail(if cut { How::Cut } else { How::Answered }, kind, &error);
                sleep(RECOVERY).await;
                None
            }
        }
    }

    fn fail(&self, how: How, kind: Kind, error: &Failed) {
        let what = format!("{}: {kind}: {error}", self.repository);
        self.watch.fail(&self.address, how, what);
    }
}

/// Whether a connection ended before its answer began.
fn is_unanswered(error: &Failed) -> bool {
    matches!(error, Failed::Cut(text) if !text.contains("reading a body"))
}

#[cfg(test)]
mod tests {
    use testkit::registry::Failed;

    use super::is_unanswered;

    #[test]
    fn an_answer_that_began_is_not_missing() {
        let cut = |text: &str| Failed::Cut(text.to_owned());
        let none = cut("connection closed before message completed");
        assert!(is_unanswered(&none));
        let half = cut("error reading a body from connection: unexpected EOF");
        assert!(!is_unanswered(&half));
        assert!(!is_unanswered(&Failed::Wrong("no Location".to_owned())));
    }
}
