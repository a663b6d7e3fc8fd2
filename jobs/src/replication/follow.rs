//! Starting policies by what happens here: entries of the audit log since each policy looked. Nobody reads past an open
//! transaction, so that no entry is missed; a policy's place in the log moves in the transaction that starts it, so that
//! none is followed twice. Once an hour everything is looked at besides: what events do not tell, such as a copy that
//! somebody deleted, is mended then.

use std::collections::BTreeSet;
use std::time::Duration;

use db::execution::Cause;
use db::replication::followed::{self, Change as Entry};
use db::replication::policy::{self as policies, Policy};
use model::accessory::referred_by;
use model::replication::Filters;

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

/// Follows the log.
pub(crate) struct Follow {
    works: Works,
    /// How far the log may be read.
    settling: Settling,
}

impl Follow {
    pub(crate) fn new(works: Works) -> Self {
        Self {
            works,
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
        Ok(policies::is_behind(&mut reader).await?)
    }
}

impl Follow {
    async fn follow(&self) -> Result<()> {
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
        None => entry.digest.is_some(),
    };
    let reference = match (&entry.tag, &entry.digest) {
        (Some(tag), _) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => return None,
    };
    is_meant.then(|| Change {
        repository: repository.to_owned(),
        reference,
        deleted,
    })
}
