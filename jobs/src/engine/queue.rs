//! The queue as one process uses it: each step is a transaction, and uses the database's clock.

use std::sync::Arc;
use std::time::Duration;

use db::fence::Fence;
use db::job::{self, Claim, Claimed, Due, Ending, Renewed, Runs, State};
use db::job_log::{self, Level, Line};
use db::schedule::{self, NewSchedule};
use db::{Db, clock};
use model::Clock;
use tracing::instrument;

use super::pause::Paused;
use crate::Result;

/// The queue, for one holder of jobs.
#[derive(Clone)]
pub struct Queue {
    db: Db,
    clock: Arc<dyn Clock>,
    holder: Arc<str>,
}

impl Queue {
    /// For a server.
    pub fn of_server(db: Db, clock: Arc<dyn Clock>, process: &str) -> Self {
        Self::new(db, clock, format!("{}{process}", job::SERVER))
    }

    /// For a command.
    pub fn of_command(db: Db, clock: Arc<dyn Clock>) -> Self {
        let holder = format!("command {}", auth::random_hex::<8>());
        Self::new(db, clock, holder)
    }

    fn new(db: Db, clock: Arc<dyn Clock>, holder: String) -> Self {
        let holder = holder.into();
        Self { db, clock, holder }
    }

    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Waits until this process has added jobs.
    pub(super) async fn added(&self) {
        self.db.jobs_added().await;
    }

    /// Creates missing standing jobs, and sets schedules.
    pub(super) async fn prepare(
        &self,
        standing: Vec<&'static str>,
        schedules: Vec<NewSchedule>,
    ) -> Result<()> {
        let clock = self.clock.clone();
        let prepared = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                job::ensure_standing(tx, &standing, now).await?;
                for new in &schedules {
                    schedule::set(tx, new, now).await?;
                }
                Ok(())
            })
        });
        prepared.await
    }

    /// Finds what is due by this process's estimate of the database's clock; claims use that clock itself.
    pub(super) async fn due(&self, runs: &[Runs]) -> Result<Due> {
        let mut tx = self.db.reader().await?;
        Ok(job::due(&mut tx, runs, self.clock.now()).await?)
    }

    /// The paused queues.
    pub(super) async fn paused(&self) -> Result<Paused> {
        Ok(Paused::read(&mut self.db.reader().await?).await?)
    }

    pub(super) async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>> {
        let (clock, holder) = (self.clock.clone(), self.holder.clone());
        let (runs, priority) = (claim.runs, claim.priority);
        let (limit, lane, places) = (claim.limit, claim.lane, claim.places);
        let claimed = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                let claim = Claim {
                    runs,
                    priority,
                    limit,
                    lane,
                    places,
                    holder: &holder,
                };
                job::claim(tx, claim, now).await
            })
        });
        Ok(claimed.await?)
    }

    /// Takes a standing job; `None` while another process holds it.
    pub(super) async fn take_standing(&self, kind: &'static str) -> Result<Option<Claimed>> {
        let (clock, holder) = (self.clock.clone(), self.holder.clone());
        let taken = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                job::take_standing(tx, kind, &holder, now).await
            })
        });
        Ok(taken.await?)
    }

    /// Asks the holder of a standing job to stop.
    pub(super) async fn ask_to_stop(&self, kind: &'static str) -> Result<()> {
        let now = self.clock.now();
        let asked = self
            .db
            .write(move |tx| Box::pin(job::ask_to_stop(tx, kind, now)));
        Ok(asked.await?)
    }

    /// Ends expired leases, and logs that to the jobs' logs.
    pub(super) async fn end_lapsed(&self) -> Result<()> {
        let clock = self.clock.clone();
        let lapsed = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                let lapsed = job::end_lapsed(tx, now).await?;
                for (id, holder) in &lapsed {
                    let text = format!("{holder} did not renew its lease: the job is queued again");
                    let line = Line::new(now, Level::Warn, text);
                    job_log::append(tx, *id, &[line]).await?;
                }
                Ok::<_, db::Error>(lapsed)
            })
        });
        for (id, holder) in lapsed.await? {
            tracing::info!(job.id = %id, holder, "the lease of a job expired: it is queued again");
        }
        Ok(())
    }

    /// Adds the jobs of due schedules.
    pub(super) async fn fire(&self) -> Result<()> {
        let clock = self.clock.clone();
        let fired = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                schedule::fire(tx, now).await
            })
        });
        Ok(fired.await?)
    }

    #[instrument(name = "job.lease.renew", level = "debug", skip_all)]
    pub(super) async fn renew(
        &self,
        fence: Fence,
        progress: Option<String>,
        lines: Vec<Line>,
    ) -> Result<Renewed> {
        let clock = self.clock.clone();
        let renewed = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                let renewed = job::renew(tx, fence, progress.as_deref(), now).await?;
                if renewed != Renewed::Lost {
                    job_log::append(tx, fence.job, &lines).await?;
                }
                Ok(renewed)
            })
        });
        renewed.await
    }

    /// Ends a run; returns false if another process has taken the job.
    #[instrument(name = "job.lease.end", level = "debug", skip_all)]
    pub(super) async fn end(&self, fence: Fence, end: End, lines: Vec<Line>) -> Result<bool> {
        let clock = self.clock.clone();
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                let now = clock::now(tx, &*clock).await?;
                let ending = Ending {
                    state: end.state,
                    due_at: end.again_in.map(|wait| now.plus(wait)),
                    attempts: end.attempts,
                    result: end.result,
                    error: end.error,
                };
                let ended = job::end(tx, fence, &ending, now).await?;
                if ended {
                    job_log::append(tx, fence.job, &lines).await?;
                }
                Ok(ended)
            })
        });
        ended.await
    }
}

/// How a run ends: an [`Ending`] with a wait instead of a time.
#[derive(Debug)]
pub(super) struct End {
    pub(super) state: State,
    /// The wait until it is due again, if queued.
    pub(super) again_in: Option<Duration>,
    pub(super) attempts: i64,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
}
