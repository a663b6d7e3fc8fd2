//! Pulls that happened within the last second: counted in memory, written in batches, so that a pull
//! writes nothing itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::audit::{self, NewEntry};
use db::lease::Patience;
use db::{Db, Tx, lease, manifest, repository, tag};
use model::{AccountId, Clock, Digest, ProjectId, Reference, RepositoryName, Tag, Timestamp};
use parking_lot::Mutex;
use policy::{Caller, PullPermit};

use crate::{Error, Registry, Result};

/// Different pulls that may wait, per shard.
const CAPACITY: usize = 8_192;
/// Shards, so that no lock is shared by all pulls.
const SHARDS: usize = 16;
/// Pulls that one transaction writes.
const BATCH: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pull {
    account: Option<AccountId>,
    name: Arc<str>,
    address: IpAddr,
    project: ProjectId,
    repository: RepositoryName,
    /// `None` for blobs, which are one entry by repository.
    manifest: Option<(Reference, Digest)>,
}

impl Pull {
    fn of(caller: &Caller, permit: &PullPermit, manifest: Option<(Reference, Digest)>) -> Self {
        Self {
            account: caller.account(),
            name: caller.bindings.name.clone(),
            address: caller.address,
            project: permit.project(),
            repository: permit.repository().clone(),
            manifest,
        }
    }

    fn entry(&self, clock: &dyn Clock, times: i64) -> NewEntry {
        let repository = &self.repository;
        let (resource_type, resource) = match &self.manifest {
            None => ("blob", repository.to_string()),
            Some((Reference::Tag(tag), _)) => ("artifact", format!("{repository}:{tag}")),
            Some((Reference::Digest(digest), _)) => ("artifact", format!("{repository}@{digest}")),
        };
        let anonymous = self.account.is_none();
        NewEntry {
            at: clock.now(),
            account: self.account,
            account_name: if anonymous {
                "anonymous".to_owned()
            } else {
                self.name.to_string()
            },
            address: self.address.to_string(),
            operation: "pull",
            resource_type,
            resource,
            project: Some(self.project),
            success: true,
            times,
            detail: String::new(),
        }
    }
}

/// Pulls that wait.
pub struct PullLog {
    shards: [Mutex<HashMap<Pull, i64>>; SHARDS],
    hasher: RandomState,
}

impl Default for PullLog {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
        }
    }
}

impl PullLog {
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
    ) -> Result<()> {
        self.record(Pull::of(
            permit.caller(),
            permit,
            Some((reference.clone(), *digest)),
        ))
        .await
    }

    pub(crate) async fn record_blob_pull(&self, permit: &PullPermit) -> Result<()> {
        self.record(Pull::of(permit.caller(), permit, None)).await
    }

    async fn record(&self, pull: Pull) -> Result<()> {
        if self.limits.each_pull {
            let pulls = Arc::from([(pull, 1)]);
            return Box::pin(write(&self.db, &self.clock, pulls, None))
                .await
                .map(|_| ());
        }
        self.pulls.count(pull, 1)
    }

    /// Writes pulls while no other process does: they count on the same rows.
    async fn write_in_turn(&self, pulls: &[(Pull, i64)]) -> Result<()> {
        let pulls: Arc<[_]> = pulls.into();
        for _ in 0..TRIES {
            let turn = Some(Patience::None);
            if write(&self.db, &self.clock, pulls.clone(), turn).await? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let turn = Some(Patience::Endless);
        write(&self.db, &self.clock, pulls, turn).await.map(|_| ())
    }

    /// Writes the pulls that wait; what cannot be written goes on waiting.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_pulls(&self) -> Result<()> {
        let mut pulls = self.pulls.take();
        while !pulls.is_empty() {
            let batch: Vec<_> = pulls.drain(..pulls.len().min(BATCH)).collect();
            if let Err(error) = self.write_in_turn(&batch).await {
                for (pull, times) in batch.into_iter().chain(pulls) {
                    // There was room for it a moment ago.
                    let _ = self.pulls.count(pull, times);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Tries at a turn before it is waited for, and the time between them.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// What pulls add up to. Rows are changed in the order in which deletes and pushes hold them, so that
/// replicas never wait for each other in a circle: tags, manifests, repositories, each sorted.
#[derive(Default)]
struct Sums {
    tags: BTreeSet<(RepositoryName, Tag)>,
    manifests: BTreeMap<(RepositoryName, Digest), i64>,
    repositories: BTreeMap<RepositoryName, i64>,
}

impl Sums {
    fn of(pulls: &[(Pull, i64)]) -> Self {
        let mut sums = Self::default();
        for (pull, times) in pulls {
            let Some((reference, digest)) = &pull.manifest else {
                continue;
            };
            let name = &pull.repository;
            if let Reference::Tag(tag) = reference {
                sums.tags.insert((name.clone(), tag.clone()));
            }
            *sums.manifests.entry((name.clone(), *digest)).or_default() += times;
            *sums.repositories.entry(name.clone()).or_default() += times;
        }
        sums
    }

    async fn store(&self, tx: &mut Tx, now: Timestamp) -> db::Result<()> {
        for (name, tag) in &self.tags {
            tag::note_pull(tx, name, tag, now).await?;
        }
        for ((name, digest), times) in &self.manifests {
            manifest::note_pulls(tx, name, digest, *times, now).await?;
        }
        for (name, times) in &self.repositories {
            repository::count_pulls(tx, name, *times).await?;
        }
        Ok(())
    }
}

/// Writes pulls, in a turn where one is to be had. Whether it did.
async fn write(
    db: &Db,
    clock: &Arc<dyn Clock>,
    pulls: Arc<[(Pull, i64)]>,
    turn: Option<Patience>,
) -> Result<bool> {
    let clock = clock.clone();
    let written = db.write(move |tx| {
        Box::pin(async move {
            if let Some(patience) = turn
                && !lease::turn(tx, patience).await?
            {
                return Ok(false);
            }
            for (pull, times) in &*pulls {
                audit::append(tx, &pull.entry(&*clock, *times)).await?;
            }
            Sums::of(&pulls).store(tx, clock.now()).await?;
            Ok::<_, Error>(true)
        })
    });
    written.await
}
