//! Background work: one module per job, and the loop that runs each of them.

pub mod audit_seal;
pub mod backup;
pub mod check;
pub mod failures;
pub mod flush;
pub mod gc;
pub mod import;
pub mod login_failures;
pub mod moving;
mod once;
mod purge;
pub mod stores;
pub mod sweep;
mod untagged;
mod upkeep;
pub mod upload_expiry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::identity::Identity;
use auth::secret::MasterKey;
use db::audit::chain;
use db::audit::recorder::Recorder;
use db::clock::DatabaseClock;
use db::quota::OverLimit;
use db::{Db, lease};
use model::{Clock, RepositoryName};
use parking_lot::Mutex;
use registry::Registry;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use crate::failures::{Failures, Report, causes};

/// Errors of jobs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("the job cannot use the database")]
    Database(#[from] db::Error),
    /// The store.
    #[error("the job cannot use the blob store")]
    Storage(#[from] storage::Error),
    /// There is no registry to import from.
    #[error(
        "there is no registry at {0:?}: a distribution registry has the folders `blobs` and `repositories` there"
    )]
    NoRegistry(String),
    /// An import exceeds its project's quota.
    #[error("{0} does not fit into its project: {1:?}")]
    OverLimit(RepositoryName, OverLimit),
    /// A project that an import needs.
    #[error("the project cannot be made")]
    Project(#[from] tenancy::Error),
    /// The registry.
    #[error("the job cannot use the registry")]
    Registry(#[from] registry::Error),
    /// A store that does not belong to this database.
    #[error(transparent)]
    Mismatch(#[from] stores::Mismatch),
    /// Another process holds the lease on the store.
    #[error("another move or a sweep works on the store: try again when it has ended")]
    UpkeepHeld,
    /// The lease of a move or a sweep was lost to another process, or could not be renewed.
    #[error("the lease of the work on the store was lost: run it again")]
    LeaseLost,
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a replica's lease on a job lasts unless renewed.
const LEASE: Duration = Duration::from_secs(15);

/// Everything that jobs need.
#[derive(Clone)]
pub struct Jobs {
    /// The database.
    pub db: Db,
    /// The registry.
    pub registry: Arc<Registry>,
    /// The stores of the registry, separately.
    pub stores: stores::Stores,
    /// Identities, and failed logins.
    pub identity: Arc<Identity>,
    /// Outcomes of logins that other processes shared and this one applied.
    pub applied_logins: Arc<Mutex<login_failures::Applied>>,
    /// Waiting audit entries.
    pub audit: Arc<Recorder>,
    /// The master key, whose derived key signs the audit chain.
    pub master: Arc<MasterKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The same clock, to be synchronized with the database's.
    pub shared_clock: Arc<DatabaseClock>,
    /// Settings of garbage collection.
    pub gc: gc::Settings,
    /// Totals of garbage collection.
    pub progress: Arc<gc::Progress>,
    /// How far the audit log may be sealed once certain transactions have ended.
    pub horizon: Arc<Mutex<Option<chain::Horizon>>>,
}

impl Jobs {
    /// Runs all jobs until `cancel`, and sweeps the leftovers of earlier processes; writes the last entries before it
    /// returns.
    pub async fn run(self, leftovers: sweep::Leftovers, cancel: CancellationToken) {
        let second = Duration::from_secs(1);
        let mut tasks = JoinSet::new();
        // In parallel with the other jobs: after a busy hour it may take long.
        tasks.spawn(self.clone().sweep_leftovers(leftovers, cancel.clone()));
        tasks.spawn(every(
            second * 5,
            "clock",
            AtEnd::Finish(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.compare_clocks().await,
        ));
        tasks.spawn(every(
            second,
            "flush",
            AtEnd::Finish(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.flush().await,
        ));
        tasks.spawn(every(
            second,
            "audit_seal",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.seal_audit().await,
        ));
        tasks.spawn(every(
            second,
            "login_failures",
            AtEnd::Finish(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.share_login_failures().await,
        ));
        tasks.spawn(every(
            second,
            "gc",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.collect_garbage().await,
        ));
        tasks.spawn(every(
            second,
            "purge",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.purge().await,
        ));
        tasks.spawn(every(
            second * 5,
            "untagged",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.delete_untagged().await,
        ));
        tasks.spawn(every(
            second * 30,
            "upload_expiry",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.expire_uploads().await,
        ));
        tasks.spawn(every(
            second * 600,
            "sweep",
            AtEnd::BreakOff(cancel.clone()),
            self.clone(),
            async |jobs: &Self| jobs.sweep().await,
        ));
        // At once, however long the jobs take to end: the process may be killed before that.
        let flush = async {
            cancel.cancelled().await;
            // A failure is retried below.
            let _ = self.flush_last().await;
        };
        tokio::join!(tasks.join_all(), flush);
        if let Err(error) = self.flush_last().await {
            tracing::error!(%error, "the last audit entries cannot be written");
        }
        if let Err(error) = self.step_down().await {
            tracing::warn!(%error, "other replicas wait for this one's work until its leases end");
        }
    }

    /// True if this process holds the lease for a job that only one process may run, for [`LEASE`] from now. A process
    /// alone on its database always does.
    pub(crate) async fn leads(&self, name: &'static str) -> Result<bool> {
        if !self.db.is_shared() {
            return Ok(true);
        }
        let (holder, now) = (self.holder(), self.db.now(&*self.clock).await?);
        let until = now.plus(LEASE);
        // Usually nothing needs to be written.
        let mut tx = self.db.reader().await?;
        let held = lease::holder(&mut tx, name, (now, until)).await?;
        drop(tx);
        match held {
            Some((other, _)) if other != holder => return Ok(false),
            Some((_, held_until)) if held_until >= now.plus(LEASE / 2) => return Ok(true),
            _ => {}
        }
        let taken = self.db.write(move |tx| {
            Box::pin(async move { lease::take(tx, name, &holder, (now, until)).await })
        });
        Ok(taken.await?)
    }

    /// Releases the lease, so that another process can continue at once.
    pub(crate) async fn step_down(&self) -> Result<()> {
        if !self.db.is_shared() {
            return Ok(());
        }
        let holder = self.holder();
        let given = self
            .db
            .write(move |tx| Box::pin(async move { lease::give_back(tx, &holder).await }));
        Ok(given.await?)
    }

    fn holder(&self) -> String {
        self.registry.process().to_string()
    }

    /// Synchronizes the clock with the database's.
    async fn compare_clocks(&self) -> Result<()> {
        self.shared_clock.compare(&self.db).await?;
        Ok(())
    }
}

/// What happens to a job's work when the process stops.
enum AtEnd {
    /// It is short, and is completed.
    Finish(CancellationToken),
    /// It may be long: the rest is done after the next start.
    BreakOff(CancellationToken),
}

impl AtEnd {
    const fn token(&self) -> &CancellationToken {
        match self {
            Self::Finish(cancel) | Self::BreakOff(cancel) => cancel,
        }
    }

    /// Does a job's work; `None` if it was interrupted.
    async fn run(&self, work: impl Future<Output = Result<()>>) -> Option<Result<()>> {
        match self {
            Self::Finish(_) => Some(work.await),
            Self::BreakOff(cancel) => cancel.run_until_cancelled(work).await,
        }
    }
}

/// Runs a job at once and then at intervals. A failure is logged once with its causes, then counted.
async fn every(
    span: Duration,
    name: &'static str,
    end: AtEnd,
    jobs: Jobs,
    work: impl AsyncFn(&Jobs) -> Result<()>,
) {
    let mut ticks = tokio::time::interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = Failures::default();
    loop {
        tokio::select! {
            () = end.token().cancelled() => return,
            _ = ticks.tick() => {}
        }
        let span = tracing::debug_span!("job.run", otel.name = field::Empty, job.name = name);
        if !span.is_disabled() {
            span.record("otel.name", format!("job.{name}.run"));
        }
        let Some(done) = end.run(work(&jobs).instrument(span)).await else {
            return;
        };
        let now = Instant::now();
        let Err(error) = done else {
            if let Some(Report { failures, seconds }) = failures.succeeded(now) {
                tracing::info!(job.name = name, failures, seconds, "a job runs again");
            }
            continue;
        };
        let cause = causes(&error);
        if let Some(Report { failures, seconds }) = failures.failed(&cause, now) {
            let message = "a job failed and will run again";
            tracing::warn!(job.name = name, failures, seconds, cause, "{message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_work_is_broken_off_when_the_process_ends() {
        let cancel = CancellationToken::new();
        let long = tokio::spawn({
            let end = AtEnd::BreakOff(cancel.clone());
            async move { end.run(std::future::pending()).await.is_none() }
        });
        cancel.cancel();
        assert!(long.await.unwrap());
    }

    #[tokio::test]
    async fn short_work_is_finished_when_the_process_ends() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let end = AtEnd::Finish(cancel);
        let short = end.run(async {
            tokio::task::yield_now().await;
            Ok(())
        });
        assert!(matches!(short.await, Some(Ok(()))));
    }
}
