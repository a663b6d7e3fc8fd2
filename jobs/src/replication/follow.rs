//! Starting policies by what happens here: entries of the audit log since each policy looked. Nobody reads past an open
//! transaction, so that no entry is missed; a policy's place in the log moves in the transaction that starts it, so that
//! none is followed twice. Once an hour everything is looked at besides: what events do not tell, such as a copy that
//! somebody deleted, is mended then. Where a run failed, such as to a site that was cut off, everything is looked at after 30
//! s, and after ever longer waits if that fails too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use db::execution::Cause;
use db::replication::followed::{self, Change as Entry};
use db::replication::lag;
use db::replication::policy::{self as policies, Policy};
use model::ReplicationPolicyId;
use model::accessory::referred_by;
use model::replication::Filters;
use parking_lot::Mutex;

use super::order::Change;
use super::start::{Wanted, begin, running_by};
use super::works::Works;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::horizon::Settling;
use crate::{Error, Result};

/// Entries that are followed at a time.
const BATCH: i64 = 1_000;

/// Executions of a policy that go on because of events: with so many, what happens waits in the log, and the next one takes
/// all of it. A registry that does not answer would have a queue of them that holds up all other policies.
const MOST_OPEN: i64 = 2;

/// The wait after a run that failed, which doubles with each further one, up to an hour.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How often is looked for runs that failed.
const LOOKED: Duration = Duration::from_secs(5);

/// Follows the log.
pub(crate) struct Follow {
    works: Works,
    /// When was last looked for runs that failed.
    looked_at: Mutex<Option<Instant>>,
    /// How far the log may be read.
    settling: Settling,
}

impl Follow {
    pub(crate) fn new(works: Works) -> Self {
        Self {
            works,
            looked_at: Mutex::default(),
            settling: Settling::default(),
        }
    }
}

impl Job for Follow {
    const KIND: &'static str = "replication_follow";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.follow().await.into()
    }
}

impl Standing for Follow {
    const EVERY: Duration = Duration::from_millis(500);

    async fn is_wanted(&self) -> Result<bool> {
        let mut reader = self.works.db.reader().await?;
        let is_behind = policies::is_behind(&mut reader).await?;
        drop(reader);
        Ok(is_behind || !self.due().await?.is_empty())
    }
}

impl Follow {
    async fn follow(&self) -> Result<()> {
        for policy in self.due().await? {
            self.begin_again(policy).await?;
        }
        let mut reader = self.works.db.reader().await?;
        let Some(up_to) = self.settling.last(&mut reader).await? else {
            return Ok(());
        };
        let all = policies::by_event(&mut reader).await?;
        drop(reader);
        for policy in all {
            self.follow_for(&policy, up_to).await?;
        }
        Ok(())
    }

    /// Policies whose last run failed so long ago that everything is looked at now.
    async fn due(&self) -> Result<Vec<ReplicationPolicyId>> {
        let looked_at = *self.looked_at.lock();
        if looked_at.is_some_and(|at| at.elapsed() < LOOKED) {
            return Ok(Vec::new());
        }
        let now = self.works.db.now(&*self.works.clock).await?;
        let owed = lag::owed(&mut self.works.db.reader().await?).await?;
        let due: Vec<ReplicationPolicyId> = owed
            .into_iter()
            .filter(|owed| now.since(owed.failed_at) >= wait(owed.failures))
            .map(|owed| owed.policy)
            .collect();
        if due.is_empty() {
            *self.looked_at.lock() = Some(Instant::now());
        }
        Ok(due)
    }

    async fn begin_again(&self, policy: ReplicationPolicyId) -> Result<()> {
        let wanted = Wanted::of(policy, Cause::Event);
        let now = self.works.db.now(&*self.works.clock).await?;
        let origin = Works::caller().origin();
        let begun = self.works.db.write(move |tx| {
            Box::pin(async move {
                match begin(tx, wanted, &origin, now).await {
                    // Deleted or disabled since it was read.
                    Err(Error::Tenancy(_)) => Ok(()),
                    begun => begun.map(drop),
                }
            })
        });
        begun.await
    }

    async fn follow_for(&self, policy: &Policy, up_to: i64) -> Result<()> {
        let mut reader = self.works.db.reader().await?;
        if running_by(&mut reader, policy.id, Cause::Event).await? >= MOST_OPEN {
            return Ok(());
        }
        drop(reader);
        let mut after = policy.followed;
        while after < up_to {
            let mut reader = self.works.db.reader().await?;
            let entries = followed::changes(&mut reader, (after, up_to), BATCH).await?;
            drop(reader);
            let is_all = (entries.len() as i64) < BATCH;
            let last = entries.last().map_or(up_to, |entry| entry.id);
            let reached = if is_all { up_to } else { last };
            self.begin(policy, &entries, reached).await?;
            after = reached;
        }
        Ok(())
    }

    async fn begin(&self, policy: &Policy, entries: &[Entry], reached: i64) -> Result<()> {
        let content = policy.content()?;
        let filters = Filters::compile(&content.filters).ok();
        let changes: BTreeSet<Change> = entries
            .iter()
            .filter_map(|entry| change(entry, filters.as_ref()?, content.deletion))
            .collect();
        let wanted = Wanted {
            changes: changes.into_iter().collect(),
            ..Wanted::of(policy.id, Cause::Event)
        };
        let now = self.works.db.now(&*self.works.clock).await?;
        let origin = Works::caller().origin();
        let begun = self.works.db.write(move |tx| {
            Box::pin(async move {
                policies::set_followed(tx, wanted.policy, reached).await?;
                if !wanted.changes.is_empty() {
                    match begin(tx, wanted, &origin, now).await {
                        // Deleted or disabled since it was read.
                        Err(Error::Tenancy(_)) => {}
                        begun => drop(begun?),
                    }
                }
                Ok::<_, Error>(())
            })
        });
        begun.await
    }
}

/// How long nothing is begun after so many failures.
fn wait(failures: i64) -> Duration {
    let doubled = u32::try_from(failures - 1).unwrap_or_default().min(10);
    (FIRST_WAIT * (1 << doubled)).min(LONGEST_WAIT)
}

/// What an entry means for a policy, if anything.
fn change(entry: &Entry, filters: &Filters, deletion: bool) -> Option<Change> {
    let repository = entry.repository.as_ref()?.as_str();
    let deleted = entry.operation == "delete";
    if !filters.repository(repository) || (deleted && !deletion) {
        return None;
    }
    let is_meant = match &entry.tag {
        Some(tag) => referred_by(tag).is_some() || filters.tag(tag.as_str()),
        // Whether it is attached to something is seen when it is copied.
        None => entry.digest.is_some() || deleted,
    };
    let reference = match (&entry.tag, &entry.digest) {
        (Some(tag), _) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        // The repository.
        (None, None) => Change::WHOLE.to_owned(),
    };
    is_meant.then(|| Change {
        repository: repository.to_owned(),
        reference,
        deleted,
    })
}
