//! Removes jobs that ended long ago, and old lines of all job logs.

use std::sync::Arc;
use std::time::Duration;

use db::schedule::NewSchedule;
use db::{Db, job, job_log};
use model::Clock;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry};

/// How long ended jobs and log lines are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Rows to remove per transaction.
const BATCH: i64 = 500;
/// Hourly, at a minute when little else starts.
const CRON: &str = "0 17 * * * *";

/// Prunes the history of jobs.
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
            Ok((jobs, lines)) => {
                Outcome::Done(Some(format!("{jobs} jobs and {lines} log lines removed")))
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Prune {
    /// The built-in schedule.
    pub(crate) fn schedule() -> NewSchedule {
        NewSchedule {
            kind: Self::KIND.to_owned(),
            subject: String::new(),
            payload_version: Self::VERSION,
            payload: "null".to_owned(),
            cron: CRON.parse().expect("it has six fields"),
        }
    }

    /// Returns the number of jobs removed, and of log lines of other jobs.
    async fn prune(&self) -> Result<(u64, u64)> {
        let before = self.db.now(&*self.clock).await?.minus(KEPT);
        let (mut jobs, mut lines) = (0, 0);
        loop {
            let pruned = self.db.write(move |tx| {
                Box::pin(async move {
                    let jobs = job::prune(tx, before, BATCH).await?;
                    Ok::<_, db::Error>((jobs, job_log::prune(tx, before, BATCH).await?))
                })
            });
            let pruned = pruned.await?;
            (jobs, lines) = (jobs + pruned.0, lines + pruned.1);
            if pruned == (0, 0) {
                return Ok((jobs, lines));
            }
        }
    }
}
