//! Purges the audit log of old entries of some types, so that its chain can still be verified, see
//! [`db::audit::purge`].

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::audit::purge::{self, Extent, Rule, Types};
use db::job_log::Level;
use model::{
    Client, Clock, EVENT_TYPES, Event, EventType, Operation, Origin, Principal, ResourceType,
    Subject, SystemTask, Timestamp,
};
use serde::{Deserialize, Serialize};
use tenancy::secret::MasterKey;

use crate::audit_seal::sign;
use crate::engine::{Context, Job, Outcome, Retry};
use crate::execution::{Execution, Ordered};
use crate::{Error, Result};

/// The longest time for which entries are kept, in hours: as in Harbor.
pub const LONGEST_HOURS: i64 = 240_000;

/// The name for all types other than those of artifacts.
const OTHER: &str = "other";

/// What a purge removes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Hours for which entries are kept; 0 or less purges nothing, as in Harbor.
    pub audit_retention_hour: i64,
    /// The types, separated by commas; `other` for all except those of artifacts.
    pub include_event_types: String,
    /// Whether to only report what would be removed.
    pub dry_run: bool,
}

impl Parameters {
    /// The entries that they select; `None` for none.
    fn rule(&self, now: Timestamp) -> Option<Rule> {
        let hours = u64::try_from(self.audit_retention_hour).ok()?;
        if hours == 0 {
            return None;
        }
        let known = |kind: &EventType| EVENT_TYPES.contains(&&*kind.to_string());
        let named: Vec<EventType> = EventType::list(&self.include_event_types)
            .into_iter()
            .filter(known)
            .collect();
        let has_other = self
            .include_event_types
            .split(',')
            .any(|text| text.trim() == OTHER);
        let artifacts = "create_artifact,delete_artifact,pull_artifact";
        let types = Types {
            named,
            all_but: has_other.then(|| EventType::list(artifacts)),
        };
        let is_empty = types.named.is_empty() && types.all_but.is_none();
        (!is_empty).then(|| Rule {
            before: now.minus(Duration::from_secs(hours * 3_600)),
            types,
        })
    }
}

/// Purges the audit log.
pub struct AuditPurge {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Its derived key signs what was purged.
    pub master: Arc<MasterKey>,
}

impl Job for AuditPurge {
    const KIND: &'static str = "audit_purge";
    const RETRY: Retry = Retry {
        runs: 3,
        first: Duration::from_secs(60),
        longest: Duration::from_secs(3_600),
    };
    type Payload = Ordered<Parameters>;

    async fn run(&self, ordered: Ordered<Parameters>, context: &mut Context) -> Outcome {
        let by = Origin {
            principal: Principal::System(SystemTask::AuditPurge),
            client: Client::default(),
        };
        let mut tell = |text: String| context.log(Level::Info, text);
        match self.purge(&ordered.parameters, by, &mut tell).await {
            Ok(purged) => Outcome::Done(Some(format!("{purged} entries"))),
            // It will not be valid the next time either.
            Err(Error::Database(error @ db::Error::ChainBroken(_))) => {
                Outcome::Hopeless(error.into())
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Execution for AuditPurge {
    type Parameters = Parameters;
}

impl AuditPurge {
    /// Removes the selected entries, seal by seal; returns how many. The history records it twice: with the first
    /// removed entries, how many will be removed, and with the last ones, how many were. An interrupted run is
    /// completed by the next one, which records both for the remainder.
    ///
    /// # Errors
    /// [`db::Error::ChainBroken`] for an invalid seal; when the database fails.
    pub async fn purge(
        &self,
        parameters: &Parameters,
        by: Origin,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<i64> {
        let now = self.db.now(&*self.clock).await?;
        let Some(rule) = parameters.rule(now) else {
            tell("nothing is purged: no retention time, or no known type of events".to_owned());
            return Ok(0);
        };
        let extent = purge::extent(&mut self.db.reader().await?, &rule).await?;
        let found = extent.map_or(0, |extent| extent.entries);
        if parameters.dry_run {
            tell(format!("[DRYRUN] {found} entries would be purged: {rule}"));
            return Ok(found);
        }
        let purged = match extent {
            Some(extent) => self.purge_seals(&rule, extent, (&by, now), tell).await?,
            None => 0,
        };
        tell(format!("purged {purged} entries: {rule}"));
        Ok(purged)
    }

    async fn record(&self, event: Event) -> Result<()> {
        let recorded = self
            .db
            .write(move |tx| Box::pin(async move { tx.record(&event).await }));
        Ok(recorded.await?)
    }

    async fn purge_seals(
        &self,
        rule: &Rule,
        extent: Extent,
        (by, now): (&Origin, Timestamp),
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<i64> {
        /// Seals between two lines in the job's log.
        const SPELL: i64 = 100;
        let first = purge::seal_from(&mut self.db.reader().await?, extent.first_id).await?;
        let Some(mut sequence) = first else {
            return Ok(0);
        };
        let mut purged = 0;
        loop {
            let (told, master, own) = (rule.clone(), self.master.clone(), by.clone());
            let step = self.db.write(move |tx| {
                Box::pin(async move {
                    let sign = |hash: &[u8]| sign(&master, hash);
                    let step = purge::purge(tx, sequence, &told, &sign, now).await?;
                    let removed = step.as_ref().map_or(0, |step| step.removed);
                    if purged == 0 && removed > 0 {
                        let begun = format!("begun: {} entries", extent.entries);
                        tx.record(&event(&told, own.clone(), &begun, now)).await?;
                    }
                    let is_last = step
                        .as_ref()
                        .is_none_or(|step| step.last_id >= extent.last_id);
                    if is_last && purged + removed > 0 {
                        let ended = format!("{} entries", purged + removed);
                        tx.record(&event(&told, own, &ended, now)).await?;
                    }
                    Ok::<_, db::Error>(step)
                })
            });
            let step = match step.await {
                Err(error @ db::Error::ChainBroken(_)) if purged > 0 => {
                    let ended = format!("{purged} entries, up to a seal that does not hold");
                    self.record(event(rule, by.clone(), &ended, now)).await?;
                    return Err(error.into());
                }
                step => step?,
            };
            let Some(step) = step else {
                return Ok(purged);
            };
            purged += step.removed;
            if step.last_id >= extent.last_id {
                return Ok(purged);
            }
            if sequence % SPELL == 0 {
                tell(format!("{purged} of {} entries", extent.entries));
            }
            sequence += 1;
        }
    }
}

/// The event of a purge.
fn event(rule: &Rule, by: Origin, what: &str, now: Timestamp) -> Event {
    let subject = Subject::Installation(ResourceType::AuditLog, "audit log".to_owned());
    Event::new(now, by, Operation::Delete, subject).with_detail(format!("{what} {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(hours: i64, types: &str) -> Option<Rule> {
        let parameters = Parameters {
            audit_retention_hour: hours,
            include_event_types: types.to_owned(),
            dry_run: false,
        };
        parameters.rule(Timestamp(7_200_000_000))
    }

    #[test]
    fn parameters_mean_what_they_mean_in_harbor() {
        assert_eq!(rule(0, "pull_artifact"), None);
        assert_eq!(rule(-1, "pull_artifact"), None);
        assert_eq!(rule(1, "zzz_artifact,pull"), None);
        let known = rule(1, "pull_artifact, zzz_artifact").unwrap();
        assert_eq!(known.before, Timestamp(3_600_000_000));
        assert_eq!((known.types.named.len(), known.types.all_but), (1, None));
        let other = rule(1, "other").unwrap();
        assert_eq!(other.types.all_but.map(|but| but.len()), Some(3));
    }
}
