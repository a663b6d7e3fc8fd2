//! Push, pull, mount, tag, delete and referrers, without HTTP: the gateway parses and renders, and passes a permit with
//! every call.

pub mod artifact;
pub mod blob;
mod body;
pub mod catalog;
mod error;
mod immutability;
pub mod manifest;
pub mod memory;
mod named;
pub mod pull_log;
mod purge;
pub mod referrers;
pub mod repository;
pub mod retention;
pub mod size;
pub mod tag;
mod untagged;
pub mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use db::blob_event::NewBlobEvent;
use db::quota::{self, Taking};
use db::{Db, Tx};
use futures_util::future::BoxFuture;
use model::{Clock, Digest, Event, Operation, ProjectId, RepositoryName, Subject};
use moka::sync::Cache;
use policy::{Caller, PushPermit};
use storage::BlobStore;
use storage::key::Process;
use tenancy::secret::MasterKey;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use artifact::attrs::Configs;
pub use body::{Body, BodyError};
pub use error::{Error, Result};
use memory::BodyMemory;
use pull_log::PullLog;
use upload::Unnamed;

/// Settings.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long an idle upload session is kept.
    pub upload_expiry: Duration,
    /// How long an unreferenced blob is kept.
    pub grace: Duration,
    /// How long the object of a removed blob is kept.
    pub hold: Duration,
    /// Memory for all bodies together, in bytes.
    pub body_memory: usize,
    /// Whether every pull is written before its bytes are sent, or pulls are combined by the second.
    pub each_pull: bool,
}

/// Largest manifest, in bytes.
pub const LARGEST_MANIFEST: usize = 4 << 20;
/// Bytes of small blobs kept in memory.
const SMALL_BLOBS: u64 = 12 << 20;
/// Layers to read for additions at a time.
const ADDITIONS: usize = 4;
/// Maximum tags of a deleted artifact to return, and to name in its event.
const TOLD: i64 = 100;
/// Maximum number of attempts of a transaction that conflicts with others.
const ATTEMPTS: u32 = 4;

/// The registry.
pub struct Registry {
    db: Db,
    store: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    master: Arc<MasterKey>,
    pulls: PullLog,
    limits: Limits,
    memory: BodyMemory,
    /// By digest: its content never changes, whichever row and object it has.
    small_blobs: Cache<Digest, Bytes>,
    process: Process,
    turns: upload::Turns,
    /// Objects that this process is writing and that have no row yet.
    unnamed: Unnamed,
    /// Turns of requests that read layers.
    additions: Semaphore,
    configs: Configs,
    /// Requests that run to completion even if the client leaves.
    tasks: TaskTracker,
    /// Whether blobs that are pushed and mounted are events to somebody.
    reports_blobs: AtomicBool,
}

impl Registry {
    /// A registry over a database and a store.
    pub fn new(
        db: Db,
        store: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        master: Arc<MasterKey>,
        limits: Limits,
    ) -> Self {
        let weigh =
            |_: &Digest, bytes: &Bytes| u32::try_from(bytes.len() + 128).unwrap_or(u32::MAX);
        Self {
            memory: BodyMemory::new(limits.body_memory, db.is_shared()),
            db,
            store,
            clock,
            master,
            pulls: PullLog::default(),
            limits,
            process: Process(auth::random()),
            turns: upload::Turns::default(),
            unnamed: Unnamed::default(),
            additions: Semaphore::new(ADDITIONS),
            configs: Configs::default(),
            tasks: TaskTracker::new(),
            reports_blobs: false.into(),
            small_blobs: Cache::builder()
                .max_capacity(SMALL_BLOBS)
                .weigher(weigh)
                .build(),
        }
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn BlobStore> {
        &self.store
    }

    /// This process, as named in its object keys.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Sets whether blobs that are pushed and mounted from now on are recorded as events ([`db::blob_event`]).
    pub fn report_blobs(&self, reports: bool) {
        self.reports_blobs.store(reports, Ordering::Relaxed);
    }

    /// What is to be recorded of a blob that a repository is given; `None` if nobody asks for that.
    fn blob_event(
        &self,
        permit: &PushPermit,
        source: Option<&RepositoryName>,
    ) -> Option<NewBlobEvent> {
        let reports = self.reports_blobs.load(Ordering::Relaxed);
        reports.then(|| NewBlobEvent {
            at: self.clock.now(),
            origin: permit.caller().origin(),
            repository: permit.repository().clone(),
            source: source.cloned(),
        })
    }

    /// Waits until all running work is done.
    pub async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Pulls waiting to be written.
    pub fn pulls(&self) -> &PullLog {
        &self.pulls
    }

    /// The memory that bodies share.
    pub fn memory(&self) -> &BodyMemory {
        &self.memory
    }

    /// True while this process writes an object that has no row yet.
    pub fn is_writing(&self, key: &str) -> bool {
        self.unnamed.has(key)
    }

    /// Runs a transaction that charges or refunds a project's quota: beside others while there is enough left, alone if
    /// not. Retried on deadlock.
    async fn charging<T, F>(&self, project: ProjectId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(Taking, &'t mut Tx) -> BoxFuture<'t, Result<T>>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let mut taking = Taking::Shared;
        let mut attempts = ATTEMPTS;
        loop {
            let work = work.clone();
            let done = self.db.write_in(project, move |tx| {
                Box::pin(async move {
                    if taking == Taking::Alone {
                        quota::hold(tx, project).await?;
                    }
                    work(taking, tx).await
                })
            });
            attempts = attempts.saturating_sub(1);
            match done.await {
                Err(Error::Database(db::Error::Crowded)) => taking = Taking::Alone,
                Err(Error::Database(error)) if attempts > 0 && error.is_collision() => {}
                done => return done,
            }
        }
    }

    /// An event, now, of the holder of a permit.
    fn event(&self, caller: &Caller, operation: Operation, subject: Subject) -> Event {
        Event::new(self.clock.now(), caller.origin(), operation, subject)
    }
}
