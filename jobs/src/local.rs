//! Work that every process repeats for itself, because it concerns the process's memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::Db;
use db::clock::DatabaseClock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use crate::Result;
use crate::failures::{Failures, Report, causes};

/// Work that every process repeats.
pub(crate) trait Local: Send + Sync + 'static {
    /// Its name in spans and logs.
    const NAME: &'static str;
    /// Time between two runs.
    const EVERY: Duration;

    /// Does it once.
    fn run(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Runs at once and then at intervals until `cancel`; a run in progress is completed. A failure is logged once with its
/// causes, then counted.
pub(crate) async fn repeat<L: Local>(local: Arc<L>, cancel: CancellationToken) {
    let name = L::NAME;
    let mut ticks = tokio::time::interval(L::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = Failures::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let span = tracing::debug_span!("job.run", otel.name = field::Empty, job.name = name);
        if !span.is_disabled() {
            span.record("otel.name", format!("job.{name}.run"));
        }
        let done = local.run().instrument(span).await;
        let now = Instant::now();
        let Err(error) = done else {
            if let Some(Report { failures, seconds }) = failures.succeeded(now) {
                tracing::info!(job.name = name, failures, seconds, "a job runs again");
            }
            continue;
        };
        let cause = causes(&error);
        if db::is_outage(&error) {
            // `health::watch` logs it, once for all.
            tracing::debug!(job.name = name, cause, "a job failed");
            continue;
        }
        if let Some(Report { failures, seconds }) = failures.failed(&cause, now) {
            let message = "a job failed and will run again";
            tracing::warn!(job.name = name, failures, seconds, cause, "{message}");
        }
    }
}

/// Synchronizes the clock with the database's.
pub(crate) struct ClockComparison {
    pub(crate) db: Db,
    pub(crate) clock: Arc<DatabaseClock>,
}

impl Local for ClockComparison {
    const NAME: &'static str = "clock";
    const EVERY: Duration = Duration::from_secs(5);

    async fn run(&self) -> Result<()> {
        self.clock.compare(&self.db).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Cancels, and then does something.
    struct Last {
        cancel: CancellationToken,
        done: AtomicU32,
    }

    impl Local for Last {
        const NAME: &'static str = "last";
        const EVERY: Duration = Duration::from_secs(3_600);

        async fn run(&self) -> Result<()> {
            self.cancel.cancel();
            tokio::task::yield_now().await;
            self.done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_run_in_progress_is_completed_when_the_process_stops() {
        let cancel = CancellationToken::new();
        let last = Arc::new(Last {
            cancel: cancel.clone(),
            done: AtomicU32::new(0),
        });
        repeat(last.clone(), cancel).await;
        assert_eq!(last.done.load(Ordering::Relaxed), 1);
    }
}
