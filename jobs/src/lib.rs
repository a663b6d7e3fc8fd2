//! Background work: one module per job, and the loop that runs each of them.

pub mod audit_seal;
pub mod check;
pub mod flush;
pub mod sweep;
pub mod upload_expiry;

use std::sync::Arc;
use std::time::Duration;

use auth::secret::MasterKey;
use db::Db;
use db::audit::recorder::Recorder;
use model::Clock;
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
    /// The registry.
    #[error("the job cannot use the registry")]
    Registry(#[from] registry::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What jobs work on.
#[derive(Clone)]
pub struct Jobs {
    /// The database.
    pub db: Db,
    /// The registry.
    pub registry: Arc<Registry>,
    /// Audit entries that wait.
    pub audit: Arc<Recorder>,
    /// The master key, whose derived key signs the audit chain.
    pub master: Arc<MasterKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
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
