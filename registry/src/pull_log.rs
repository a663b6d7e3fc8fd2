//! Pulls of the last second: counted in memory and written in batches, so that a pull itself writes nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use db::Db;
use db::stat::{self, Pulls};
use model::{
    Clock, Digest, Event, Operation, Origin, ProjectId, Reference, RepositoryName, Subject,
    Timestamp,
};
use parking_lot::Mutex;
use policy::{Caller, PullPermit};

use crate::{ATTEMPTS, Error, Registry, Result};

/// Maximum number of distinct waiting pulls per shard.
const CAPACITY: usize = 8_192;
/// Number of shards, so that pulls do not share one lock.
const SHARDS: usize = 16;
/// Pulls to write per transaction.
const BATCH: usize = 5_000;

/// What a manifest is pulled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be used: it counts, and moves the time of the last pull.
    Use,
    /// To be copied or looked at: the audit log alone has it.
    Inspection,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pull {
    origin: Origin,
    project: ProjectId,
    repository: RepositoryName,
    /// `None` for blobs, which are one entry per repository.
    manifest: Option<(Reference, Digest)>,
    purpose: Purpose,
}

impl Pull {
    fn of(
        caller: &Caller,
        permit: &PullPermit,
        manifest: Option<(Reference, Digest)>,
        purpose: Purpose,
    ) -> Self {
        Self {
            origin: caller.origin(),
            project: permit.project(),
            repository: permit.repository().clone(),
            manifest,
            purpose,
        }
    }

    /// Increments for the counters; blobs are not counted.
    fn counted(&self, times: i64) -> Option<Pulls> {
        if self.purpose == Purpose::Inspection {
            return None;
        }
        let (reference, digest) = self.manifest.as_ref()?;
        Some(Pulls {
            repository: self.repository.clone(),
            digest: *digest,
            tag: reference.tag().cloned(),
            times,
        })
    }

    fn event(&self, now: Timestamp, times: i64) -> Event {
        let (project, repository) = (self.project, self.repository.clone());
        let subject = match &self.manifest {
            None => Subject::Blob {
                project,
                repository,
                digest: None,
            },
            Some((reference, digest)) => Subject::Artifact {
                project,
                repository,
                tag: reference.tag().cloned(),
                digest: *digest,
            },
        };
        Event {
            times,
            ..Event::new(now, self.origin.clone(), Operation::Pull, subject)
        }
    }
}

/// Pulls written together under one ID: if the answer to the commit is lost, they are written again but count once.
#[derive(Clone)]
struct Batch {
    id: Arc<str>,
    pulls: Arc<[(Pull, i64)]>,
}

impl Batch {
    fn new(pulls: impl Into<Arc<[(Pull, i64)]>>) -> Self {
        Self {
            id: hex::encode(auth::random::<16>()).into(),
            pulls: pulls.into(),
        }
    }
}

/// Waiting pulls.
pub struct PullLog {
    shards: [Mutex<HashMap<Pull, i64>>; SHARDS],
    hasher: RandomState,
    /// Batches being written, or whose write failed; locked by the writer.
    batches: tokio::sync::Mutex<VecDeque<Batch>>,
}

impl Default for PullLog {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            batches: tokio::sync::Mutex::default(),
        }
    }
}

impl PullLog {
    /// How many different pulls are not written yet.
    pub async fn unwritten(&self) -> usize {
        let batches = self.batches.lock().await;
        let taken: usize = batches.iter().map(|batch| batch.pulls.len()).sum();
        let waiting: usize = self.shards.iter().map(|shard| shard.lock().len()).sum();
        taken + waiting
    }

    fn count(&self, pull: Pull, times: i64) -> Result<()> {
        let shard = self.hasher.hash_one(&pull) as usize % SHARDS;
        let mut shard = self.shards[shard].lock();
        if shard.len() >= CAPACITY && !shard.contains_key(&pull) {
            return Err(Error::CannotRecord);
        }
        *shard.entry(pull).or_default() += times;
        Ok(())
    }

    fn take(&self) -> Vec<(Pull, i64)> {
        self.shards
            .iter()
            .flat_map(|shard| std::mem::take(&mut *shard.lock()))
            .collect()
    }
}

impl Registry {
    pub(crate) async fn record_pull(
        &self,
        permit: &PullPermit,
        reference: &Reference,
        digest: &Digest,
        purpose: Purpose,
    ) -> Result<()> {
        self.record(Pull::of(
            permit.caller(),
            permit,
            Some((reference.clone(), *digest)),
            purpose,
        ))
        .await
    }

    pub(crate) async fn record_blob_pull(&self, permit: &PullPermit) -> Result<()> {
        self.record(Pull::of(permit.caller(), permit, None, Purpose::Use))
            .await
    }

    async fn record(&self, pull: Pull) -> Result<()> {
        if self.limits.each_pull {
            let batch = Batch::new([(pull, 1)]);
            return Box::pin(self.write_pulls(batch)).await;
        }
        self.pulls.count(pull, 1)
    }

    /// Writes a batch; retried on deadlock.
    async fn write_pulls(&self, batch: Batch) -> Result<()> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match write(&self.db, &self.clock, batch.clone()).await {
                Err(Error::Database(error)) if attempts > 0 && error.is_collision() => {}
                done => return done,
            }
        }
    }

    /// Writes the waiting pulls; those that cannot be written keep waiting.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_pulls(&self) -> Result<()> {
        let mut batches = self.pulls.batches.lock().await;
        // Earlier batches first, so that waiting pulls stay bounded while the database is down.
        self.write_batches(&mut batches).await?;
        batches.extend(self.pulls.take().chunks(BATCH).map(Batch::new));
        self.write_batches(&mut batches).await
    }

    async fn write_batches(&self, batches: &mut VecDeque<Batch>) -> Result<()> {
        while let Some(batch) = batches.front() {
            self.write_pulls(batch.clone()).await?;
            batches.pop_front();
        }
        Ok(())
    }
}

async fn write(db: &Db, clock: &Arc<dyn Clock>, batch: Batch) -> Result<()> {
    let clock = clock.clone();
    let written = db.write(move |tx| {
        Box::pin(async move {
            let (now, pulls) = (clock.now(), &*batch.pulls);
            let events: Vec<Event> = pulls
                .iter()
                .map(|(pull, times)| pull.event(now, *times))
                .collect();
            let counted: Vec<Pulls> = pulls
                .iter()
                .filter_map(|(pull, times)| pull.counted(*times))
                .collect();
            stat::write(tx, &batch.id, (&counted, &events), now).await
        })
    });
    Ok(written.await?)
}
