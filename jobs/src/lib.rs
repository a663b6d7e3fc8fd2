//! Background work: one module per job, and the loop that runs each of them.

pub mod audit_seal;
pub mod backup;
pub mod check;
pub mod flush;
pub mod gc;
pub mod import;
pub mod login_failures;
pub mod moving;
mod once;
pub mod sweep;
mod untagged;
pub mod upload_expiry;

use std::sync::Arc;
use std::time::Duration;

use auth::identity::Identity;
use auth::secret::MasterKey;
use db::audit::chain;
use db::audit::recorder::Recorder;
use db::quota::OverLimit;
use db::{Db, lease};
use model::{Clock, RepositoryName};
use parking_lot::Mutex;
use registry::Registry;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

/// What can go wrong with a job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("the job cannot use the database")]
    Database(#[from] db::Error),
    /// The store.
    #[error("the job cannot use the blob store")]
    Storage(#[from] storage::Error),
    /// An import from where no registry is.
    #[error(
        "there is no registry at {0:?}: a distribution registry has the folders `blobs` and `repositories` there"
    )]
    NoRegistry(String),
    /// An import into a project that may not hold that much.
    #[error("{0} does not fit into its project: {1:?}")]
    OverLimit(RepositoryName, OverLimit),
    /// The registry.
    #[error("the job cannot use the registry")]
    Registry(#[from] registry::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a replica is the one that does a job, unless it says so again.
const LEASE: Duration = Duration::from_secs(15);

/// What jobs work on.
#[derive(Clone)]
pub struct Jobs {
    /// The database.
    pub db: Db,
    /// The registry.
    pub registry: Arc<Registry>,
    /// Who calls, and whose logins failed.
    pub identity: Arc<Identity>,
    /// Failed logins that other processes told of.
    pub heard: Arc<Mutex<login_failures::Heard>>,
    /// Audit entries that wait.
    pub audit: Arc<Recorder>,
    /// The master key, whose derived key signs the audit chain.
    pub master: Arc<MasterKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How garbage is collected.
    pub gc: gc::Settings,
    /// What was collected.
    pub progress: Arc<gc::Progress>,
    /// How far the audit log may be sealed, once some transactions have ended.
    pub horizon: Arc<Mutex<Option<chain::Horizon>>>,
    /// Whether no other process writes into the store at the start, so that what an earlier one left
    /// is told and swept then; a successor may come any time later.
    pub alone: bool,
}

impl Jobs {
    /// Runs all jobs until `cancel`; the last entries are written before it returns.
    pub async fn run(self, cancel: CancellationToken) {
        let second = Duration::from_secs(1);
        let mut tasks = JoinSet::new();
        if self.alone {
            // Beside the other jobs: after a busy hour there may be much to look at.
            tasks.spawn(self.clone().sweep_at_start(cancel.clone()));
        }
        tasks.spawn(every(
            second,
            "flush",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.flush().await,
        ));
        tasks.spawn(every(
            second,
            "audit_seal",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.seal_audit().await,
        ));
        tasks.spawn(every(
            second,
            "login_failures",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.share_login_failures().await,
        ));
        let ended = cancel.clone();
        tasks.spawn(every(
            second,
            "gc",
            cancel.clone(),
            self.clone(),
            // It may have much to do; what it leaves is done after the next start.
            async move |jobs: &Self| {
                tokio::select! {
                    () = ended.cancelled() => Ok(()),
                    done = jobs.collect_garbage() => done,
                }
            },
        ));
        tasks.spawn(every(
            second * 5,
            "untagged",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.delete_untagged().await,
        ));
        tasks.spawn(every(
            second * 30,
            "upload_expiry",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.expire_uploads().await,
        ));
        tasks.spawn(every(
            second * 600,
            "sweep",
            cancel.clone(),
            self.clone(),
            async |jobs: &Self| jobs.sweep().await,
        ));
        tasks.join_all().await;
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the last audit entries cannot be written");
        }
        if let Err(error) = self.step_down().await {
            tracing::warn!(%error, "other replicas wait for this one's work until its leases end");
        }
    }

    /// Whether this process is the one that does what only one may do; that holds for [`LEASE`]. A process
    /// alone on its database always is.
    pub(crate) async fn leads(&self, name: &'static str) -> Result<bool> {
        if !self.db.is_shared() {
            return Ok(true);
        }
        let (holder, now) = (self.holder(), self.clock.now());
        // Most of the time nothing need be written.
        let mut tx = self.db.reader().await?;
        let held = lease::holder(&mut tx, name, now).await?;
        drop(tx);
        match held {
            Some((other, _)) if other != holder => return Ok(false),
            Some((_, until)) if until >= now.plus(LEASE / 2) => return Ok(true),
            _ => {}
        }
        let taken = self.db.write(move |tx| {
            Box::pin(async move { lease::take(tx, name, &holder, (now, now.plus(LEASE))).await })
        });
        Ok(taken.await?)
    }

    /// Lets another process go on at once.
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

    /// Sweeps what an earlier process left, unless this one ends before.
    async fn sweep_at_start(self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            swept = self.sweep_everything() => if let Err(error) = swept {
                tracing::warn!(%error, "what an earlier process left could not be swept");
            }
        }
    }
}

/// Runs a job at once and then at intervals.
async fn every(
    span: Duration,
    name: &'static str,
    cancel: CancellationToken,
    jobs: Jobs,
    work: impl AsyncFn(&Jobs) -> Result<()>,
) {
    let mut ticks = tokio::time::interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let span = tracing::debug_span!("job.run", otel.name = field::Empty, job.name = name);
        if !span.is_disabled() {
            span.record("otel.name", format!("job.{name}.run"));
        }
        if let Err(error) = work(&jobs).instrument(span).await {
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::warn!(job.name = name, %error, cause, "a job failed and will run again");
        }
    }
}
