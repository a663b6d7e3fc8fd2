//! Background work: the engine that runs jobs, one module per job, and the work that every process does for itself.

mod account_mail;
pub mod acme;
pub mod audit_forward;
mod audit_partition;
pub mod audit_purge;
pub mod audit_seal;
pub mod engine;
mod erasure;
pub mod execution;
pub mod failures;
pub mod flush;
mod following;
pub mod gc;
pub mod gc_run;
mod horizon;
mod ldap_reading;
mod local;
mod login_failures;
pub mod mail;
pub mod maintenance;
mod oidc_reading;
pub mod once;
mod prune;
mod purge;
mod registry_notification;
pub mod replication;
mod retention;
mod robot_expiry;
mod settings;
mod stat_hour;
pub mod stores;
pub mod sweep;
mod untagged;
mod upload_expiry;
pub mod webhook;

use std::sync::Arc;

use auth::identity::Identity;
use db::audit::recorder::Recorder;
use db::clock::DatabaseClock;
use db::quota::OverLimit;
use db::robot::usage::RobotUses;
use db::{Db, job};
use model::{Clock, ExecutionId, JobId, RepositoryName};
use registry::Registry;
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::account_mail::AccountMails;
use crate::acme::Acme;
use crate::audit_forward::{Forwarding, HttpForward, SyslogForward};
use crate::audit_partition::AuditPartition;
use crate::audit_purge::AuditPurge;
use crate::audit_seal::AuditSeal;
use crate::engine::{Engine, Queue, Stats};
use crate::erasure::ErasureWork;
use crate::failures::causes;
use crate::flush::Flush;
use crate::gc::Gc;
use crate::gc_run::GcRun;
use crate::ldap_reading::LdapReading;
use crate::local::{ClockComparison, repeat};
use crate::login_failures::LoginFailures;
use crate::oidc_reading::OidcReading;
use crate::prune::Prune;
use crate::purge::Purge;
use crate::registry_notification::RegistryNotification;
use crate::replication::{Follow, RegistryHealth, ReplicationRun, ScheduledStart, Works};
use crate::retention::Retention;
use crate::robot_expiry::RobotExpiry;
use crate::settings::SettingChanges;
use crate::stat_hour::StatHour;
use crate::sweep::{Leftovers, Sweep};
use crate::untagged::UntaggedCleaning;
use crate::upload_expiry::UploadExpiry;
use crate::webhook::{Dispatch, Webhooks};

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
    /// A project that an import needs, or the settings.
    #[error("the job cannot use projects or settings")]
    Tenancy(#[from] tenancy::Error),
    /// The directory, or storing what was read from it.
    #[error("the directory cannot be read")]
    Directory(#[source] auth::Error),
    /// Reading or storing the OIDC provider's people.
    #[error("people whom the OIDC provider knows cannot be read")]
    Provider(#[source] auth::oidc::Error),
    /// The registry.
    #[error("the job cannot use the registry")]
    Registry(#[from] registry::Error),
    /// A store that does not belong to this database.
    #[error(transparent)]
    Mismatch(#[from] stores::Mismatch),
    /// Another process holds the lease on the store.
    #[error("another move or a sweep works on the store: try again when it has ended")]
    StoreHeld,
    /// The lease of a command's work was lost to another process, or could not be renewed.
    #[error("the lease of the work was lost: run it again")]
    LeaseLost,
    /// A command's work was cancelled.
    #[error("job {0} was cancelled")]
    Cancelled(JobId),
    /// A job that cannot be retried.
    #[error("job {0} is running, done or unknown, or another job like it is queued or running")]
    NotRetried(JobId),
    /// There is no such execution.
    #[error("execution {0} not found")]
    ExecutionUnknown(ExecutionId),
    /// No task of an execution failed.
    #[error("no task of execution {0} failed: there is nothing to be tried again")]
    NothingFailed(ExecutionId),
    /// A job that cannot be cancelled.
    #[error("job {0} is neither running nor queued for a single run")]
    NotCancelled(JobId),
    /// Another pass is collecting.
    #[error("another collection is running: try again when it has ended")]
    Collecting,
    /// Requests to other servers cannot be made.
    #[error("requests to other servers cannot be made")]
    Outgoing(#[source] outgoing::Error),
    /// A mail was not sent.
    #[error(transparent)]
    Mail(#[from] mail::MailError),
    /// A job's payload does not parse.
    #[error("the job's payload cannot be read")]
    Payload(#[source] serde_json::Error),
    /// The code of a job panicked.
    #[error("the job panicked")]
    Panicked,
    /// Every run of a job ended without an outcome.
    #[error("each of {0} runs ended without an outcome, as if the job crashes its process")]
    Abandoned(i64),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that the background work of a server needs.
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
    /// Waiting audit entries.
    pub audit: Arc<Recorder>,
    /// Uses of robots that are not written yet.
    pub uses: Arc<RobotUses>,
    /// The master key, whose derived key signs the audit chain.
    pub master: Arc<MasterKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The same clock, to be synchronized with the database's.
    pub shared_clock: Arc<DatabaseClock>,
    /// Settings that administrators change.
    pub settings: Arc<Settings>,
    /// Settings of garbage collection.
    pub gc: gc::Settings,
    /// Totals of garbage collection.
    pub progress: Arc<gc::Progress>,
    /// Counts of runs.
    pub stats: Arc<Stats>,
    /// How the audit log is forwarded.
    pub forwarding: Arc<Forwarding>,
    /// The name by which clients know this installation, with its port.
    pub external_host: String,
    /// What webhooks need.
    pub webhooks: Webhooks,
    /// The certificate to obtain by ACME, if one is.
    pub acme: Option<Arc<acme::Terms>>,
}

impl Jobs {
    /// Replaces all earlier servers, none of which is running: their jobs become due, and their leftovers in the store
    /// are listed.
    ///
    /// # Errors
    /// When the store or the database fails.
    pub async fn succeed(&self) -> Result<Leftovers> {
        let now = self.clock.now();
        let ended = self.db.write(move |tx| Box::pin(job::end_all(tx, now)));
        ended.await?;
        self.sweep().leftovers().await
    }

    /// Runs all background work until `cancel`, and sweeps the leftovers of earlier processes; writes the last entries
    /// before it returns.
    pub async fn run(self, leftovers: Leftovers, cancel: CancellationToken) {
        let (queue, flush) = (self.queue(), Arc::new(self.flush()));
        let mut tasks = JoinSet::new();
        tasks.spawn(self.engine(queue.clone()).run(cancel.clone()));
        // In parallel with the jobs: after a busy hour it may take long.
        let swept = self
            .sweep()
            .sweep_leftovers(queue, leftovers, cancel.clone());
        tasks.spawn(swept);
        tasks.spawn(repeat(flush.clone(), cancel.clone()));
        tasks.spawn(repeat(Arc::new(self.login_failures()), cancel.clone()));
        tasks.spawn(repeat(Arc::new(self.clock_comparison()), cancel.clone()));
        let settings = SettingChanges {
            settings: self.settings.clone(),
            registry: self.registry.clone(),
        };
        tasks.spawn(repeat(Arc::new(settings), cancel.clone()));
        // At once, even if the jobs take long to end: the process may be killed before that.
        let at_once = async {
            cancel.cancelled().await;
            // A failure is retried below.
            let _ = flush.flush_last().await;
        };
        tokio::join!(tasks.join_all(), at_once);
        if let Err(error) = flush.flush_last().await {
            flush::tell_unwritten(&self.registry, &self.audit, &causes(&error)).await;
        }
    }

    /// All jobs.
    fn engine(&self, queue: Queue) -> Engine {
        let (db, registry, clock) = (&self.db, &self.registry, &self.clock);
        let engine = Engine::new(queue, self.stats.clone());
        let engine = match self.acme() {
            Some(acme) => engine.with_standing(acme),
            None => engine,
        };
        engine
            .with_standing(Gc {
                db: db.clone(),
                registry: registry.clone(),
                clock: clock.clone(),
                settings: self.gc,
                progress: self.progress.clone(),
            })
            .with_standing(self.sweep())
            .with_standing(Purge {
                db: db.clone(),
                registry: registry.clone(),
            })
            .with_standing(UntaggedCleaning {
                db: db.clone(),
                registry: registry.clone(),
                clock: clock.clone(),
            })
            .with_standing(UploadExpiry {
                db: db.clone(),
                registry: registry.clone(),
                clock: clock.clone(),
            })
            .with_standing(AuditSeal::new(
                db.clone(),
                clock.clone(),
                self.master.clone(),
            ))
            .with_standing(StatHour { db: db.clone() })
            .with_standing(LdapReading {
                identity: self.identity.clone(),
            })
            .with_standing(OidcReading {
                identity: self.identity.clone(),
            })
            .with_standing(SyslogForward::new(db, clock, &self.forwarding))
            .with_standing(HttpForward::new(db, clock, &self.forwarding))
            .with_standing(RegistryNotification::new(
                db,
                clock,
                (&self.settings, self.identity.directory().guard()),
                self.external_host.clone(),
            ))
            .with_standing(Follow::new(self.replication()))
            .with_standing(RegistryHealth(self.replication()))
            .with_standing(webhook::Follow::new(self.webhooks.clone()))
            .with_standing(Dispatch(self.webhooks.clone()))
            .with(ReplicationRun(self.replication()))
            .with(ScheduledStart(self.replication()))
            .with(GcRun {
                db: db.clone(),
                registry: registry.clone(),
                clock: clock.clone(),
                settings: self.gc,
            })
            .with(AuditPurge {
                db: db.clone(),
                clock: clock.clone(),
                master: self.master.clone(),
            })
            .with(ErasureWork {
                db: db.clone(),
                clock: clock.clone(),
                master: self.master.clone(),
            })
            .with(Retention {
                db: db.clone(),
                registry: registry.clone(),
                settings: self.settings.clone(),
                clock: clock.clone(),
            })
            .with(AccountMails {
                db: db.clone(),
                clock: clock.clone(),
                settings: self.settings.clone(),
                guard: self.identity.directory().guard(),
            })
            .with(Prune {
                db: db.clone(),
                clock: clock.clone(),
                settings: self.settings.clone(),
            })
            .scheduled(Prune::schedule())
            .with(AuditPartition {
                db: db.clone(),
                clock: clock.clone(),
            })
            .scheduled(AuditPartition::schedule())
            .with(RobotExpiry {
                db: db.clone(),
                clock: clock.clone(),
            })
            .scheduled(RobotExpiry::schedule())
    }

    fn acme(&self) -> Option<Acme> {
        Some(Acme {
            db: self.db.clone(),
            master: self.master.clone(),
            clock: self.clock.clone(),
            guard: self.identity.directory().guard(),
            terms: self.acme.clone()?,
        })
    }

    fn replication(&self) -> Works {
        Works {
            db: self.db.clone(),
            registry: self.registry.clone(),
            master: self.master.clone(),
            settings: self.settings.clone(),
            guard: self.identity.directory().guard(),
            clock: self.clock.clone(),
        }
    }

    fn login_failures(&self) -> LoginFailures {
        let process = self.registry.process().to_string();
        let (identity, clock) = (self.identity.clone(), self.clock.clone());
        LoginFailures::new(self.db.clone(), identity, clock, process)
    }

    fn clock_comparison(&self) -> ClockComparison {
        ClockComparison {
            db: self.db.clone(),
            clock: self.shared_clock.clone(),
        }
    }

    fn queue(&self) -> Queue {
        let process = self.registry.process().to_string();
        Queue::of_server(self.db.clone(), self.clock.clone(), &process)
    }

    fn sweep(&self) -> Sweep {
        Sweep {
            db: self.db.clone(),
            registry: self.registry.clone(),
            stores: self.stores.clone(),
            clock: self.clock.clone(),
        }
    }

    fn flush(&self) -> Flush {
        Flush {
            db: self.db.clone(),
            registry: self.registry.clone(),
            audit: self.audit.clone(),
            uses: self.uses.clone(),
            clock: self.clock.clone(),
        }
    }
}
