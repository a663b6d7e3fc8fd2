//! Removes jobs that ended long ago, old lines of all job logs, and sessions that have expired.

use std::sync::Arc;
use std::time::Duration;

use db::schedule::NewSchedule;
use db::{Db, job, job_log, session};
use model::Clock;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry};

/// How long ended jobs and log lines are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Rows to remove per transaction.
const BATCH: i64 = 500;
/// Hourly, at a minute when little else starts.
const CRON: &str = "0 17 * * * *";

/// Prunes what has had its time.
pub(crate) struct Prune {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for Prune {
    const KIND: &'static str = "prune";
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(600),
    };
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        match self.prune().await {
            Ok((jobs, lines, sessions)) => Outcome::Done(Some(format!(
                "{jobs} jobs, {lines} log lines and {sessions} sessions removed"
            ))),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Prune {
    /// The built-in schedule.
    pub(crate) fn schedule() -> NewSchedule {
        let cron = CRON.parse().expect("it has six fields");
        NewSchedule::of_kind(Self::KIND, Self::VERSION, cron)
    }

    /// Returns the number of jobs removed, of log lines of other jobs, and of sessions.
    async fn prune(&self) -> Result<(u64, u64, u64)> {
        let now = self.db.now(&*self.clock).await?;
        let before = now.minus(KEPT);
        let (mut jobs, mut lines, mut sessions) = (0, 0, 0);
        loop {
            let pruned = self.db.write(move |tx| {
                Box::pin(async move {
                    let jobs = job::prune(tx, before, BATCH).await?;
                    let lines = job_log::prune(tx, before, BATCH).await?;
                    let sessions = session::prune(tx, now, BATCH).await?;
                    Ok::<_, db::Error>((jobs, lines, sessions))
                })
            });
            let pruned = pruned.await?;
            jobs += pruned.0;
            lines += pruned.1;
            sessions += pruned.2;
            if pruned == (0, 0, 0) {
                return Ok((jobs, lines, sessions));
            }
        }
    }
}
