//! The job engine: each replica polls for due jobs, takes them, and runs them. Each job is a module of its own; how jobs
//! are taken, fenced and released is argued in [`db::job`] and [`db::fence`].
//!
//! **Polling** is one statement, about once a second, and at once when this process has added a job or ended one. Jobs
//! that are always there ([`Standing`]) are taken only if a read shows that there is work, so that an idle installation
//! writes nothing.
//!
//! **Stopping.** When the process stops, runs are dropped and their jobs released, due at once. A process that crashes
//! keeps its jobs until their leases expire.

mod context;
pub mod control;
mod held;
mod kind;
pub mod pause;
mod queue;
mod retry;
mod run;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use db::job::{Claim, Runs};
use db::schedule::NewSchedule;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::instrument;

pub use self::context::Context;
pub use self::kind::{Job, Outcome, Standing};
pub use self::queue::Queue;
pub use self::retry::Retry;
pub use self::stats::{KindStats, Stats};

pub(crate) use self::held::{Held, Manner};

use self::kind::Kind;
use self::pause::Paused;
use crate::Result;
use crate::failures::{Failures, Report, causes};

/// Maximum number of jobs that one process runs at a time, apart from standing ones.
pub const WORKERS: usize = 8;
/// Maximum time between two polls. The minimum is three quarters of it, so that replicas do not poll in step.
const POLL: Duration = Duration::from_secs(1);

/// Polls for jobs and runs them.
pub struct Engine {
    queue: Queue,
    kinds: Vec<Arc<Kind>>,
    schedules: Vec<NewSchedule>,
    stats: Arc<Stats>,
    workers: Arc<Semaphore>,
    running: JoinSet<()>,
    stop: CancellationToken,
    /// Whether standing jobs and schedules were created.
    is_prepared: bool,
}

impl Engine {
    /// An engine without jobs, which counts its runs in `stats`.
    pub fn new(queue: Queue, stats: Arc<Stats>) -> Self {
        Self {
            queue,
            kinds: Vec::new(),
            schedules: Vec::new(),
            stats,
            workers: Arc::new(Semaphore::new(WORKERS)),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            is_prepared: false,
        }
    }

    /// Runs jobs of this kind.
    #[must_use]
    pub fn with<J: Job>(mut self, job: J) -> Self {
        let stats = self.stats.of(J::KIND);
        self.kinds.push(Arc::new(Kind::new(job, stats)));
        self
    }

    /// Runs the standing job of this kind.
    #[must_use]
    pub fn with_standing<J: Standing>(mut self, job: J) -> Self {
        let stats = self.stats.of(J::KIND);
        self.kinds.push(Arc::new(Kind::standing(job, stats)));
        self
    }

    /// Sets a schedule at the start.
    #[must_use]
    pub fn scheduled(mut self, schedule: NewSchedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Runs due jobs until `cancel`, and releases the jobs running then.
    pub async fn run(mut self, cancel: CancellationToken) {
        self.stop = cancel;
        let stop = self.stop.clone();
        let mut failures = Failures::default();
        while !stop.is_cancelled() {
            // Not interrupted: a claimed job has to be started, to be released.
            report(&mut failures, self.poll().await);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.queue.added() => {}
                Some(_) = self.running.join_next() => {}
                () = tokio::time::sleep(POLL.mul_f64(1.0 - chance() / 4.0)) => {}
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// Creates standing jobs and schedules.
    async fn prepare(&self) -> Result<()> {
        let standing = self.kinds.iter().filter(|kind| kind.is_standing());
        let standing = standing.map(|kind| kind.name).collect();
        self.queue.prepare(standing, self.schedules.clone()).await
    }

    /// Takes due jobs.
    #[instrument(name = "job.queue.poll", level = "debug", skip_all)]
    async fn poll(&mut self) -> Result<()> {
        if !self.is_prepared {
            self.prepare().await?;
            self.is_prepared = true;
        }
        let runs: Vec<Runs> = self.free_kinds().map(|kind| kind.runs()).collect();
        let mut due = self.queue.due(&runs).await?;
        if due.lapsed {
            self.queue.end_lapsed().await?;
        }
        let paused = match due.scheduled || !due.queued.is_empty() {
            true => self.queue.paused().await?,
            false => Paused::default(),
        };
        let fires = due.scheduled && !paused.has(pause::SCHEDULER);
        if fires {
            self.queue.fire().await?;
        }
        if due.lapsed || fires {
            due = self.queue.due(&runs).await?;
        }
        due.queued.retain(|(kind, _)| !paused.has(kind));
        for (name, priority) in due.queued {
            let kind = self.kinds.iter().find(|kind| *kind.name == *name).cloned();
            let Some(kind) = kind else { continue };
            if !kind.is_wanted(Instant::now()).await || self.stop.is_cancelled() {
                continue;
            }
            let claim = Claim {
                runs: kind.runs(),
                priority,
                limit: kind.limit,
                lane: kind.lane,
                places: self.places(&kind) as i64,
                holder: self.queue.holder(),
            };
            for claimed in self.queue.claim(claim).await? {
                self.start(kind.clone(), claimed);
            }
        }
        Ok(())
    }

    /// Kinds of which this process can take another job.
    fn free_kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter().filter(|kind| self.places(kind) > 0)
    }

    fn places(&self, kind: &Kind) -> usize {
        if kind.is_standing() {
            1
        } else {
            self.workers.available_permits()
        }
    }

    fn start(&mut self, kind: Arc<Kind>, claimed: db::job::Claimed) {
        let worker = match kind.is_standing() {
            true => None,
            // No more jobs were claimed than workers are free, and only this task takes workers.
            false => self.workers.clone().try_acquire_owned().ok(),
        };
        let (queue, stop) = (self.queue.clone(), self.stop.clone());
        self.running.spawn(async move {
            run::run(&kind, claimed, queue, &stop).await;
            drop(worker);
        });
    }
}

/// Logs that polling fails, or works again.
fn report(failures: &mut Failures, polled: Result<()>) {
    let now = std::time::Instant::now();
    match polled {
        Ok(()) => {
            if let Some(Report { failures, seconds }) = failures.succeeded(now) {
                tracing::info!(failures, seconds, "polling for jobs works again");
            }
        }
        // `health::watch` logs it, once for all.
        Err(error) if db::is_outage(&error) => {
            tracing::debug!(cause = causes(&error), "polling for jobs failed");
        }
        Err(error) => {
            let cause = causes(&error);
            if let Some(Report { failures, seconds }) = failures.failed(&cause, now) {
                tracing::warn!(
                    failures,
                    seconds,
                    cause,
                    "polling for jobs failed and will be retried"
                );
            }
        }
    }
}

/// A random number between 0 and 1.
fn chance() -> f64 {
    f64::from(u16::from_le_bytes(auth::random())) / f64::from(u16::MAX)
}
