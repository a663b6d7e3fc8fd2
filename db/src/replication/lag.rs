//! How far enabled policies are behind. A policy that events start is behind since the first run of events that has not
//! ended well; any other one since its last whole run that did began, as nobody knows what happened since.

use std::collections::HashMap;
use std::time::Duration;

use model::replication::TriggerKind;
use model::{ReplicationPolicyId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row};

/// What a run is about: a word of its attributes, `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that the policy is about.
    Whole,
    /// What happened.
    Changes,
    /// What failed of another run.
    Repeated,
    /// Nothing is copied.
    Nothing,
}

impl Scope {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Changes => "changes",
            Self::Repeated => "repeated",
            Self::Nothing => "nothing",
        }
    }
}

/// How far each enabled policy is behind.
///
/// # Errors
/// When the statement fails.
pub async fn all(
    reader: &mut Reader,
    now: Timestamp,
) -> Result<HashMap<ReplicationPolicyId, Duration>> {
    let rows = reader
        .query_either(
            "select y.id, y.trigger_kind, coalesce(w.at, y.created_at) as whole_at, (
                 select min(e.started_at) from execution e
                 where e.vendor_type = 'REPLICATION' and e.vendor_id = y.id and e.forgotten_at is null
                 and e.started_at > coalesce(w.at, 0) and (
                     (e.attrs ->> 'scope' = 'changes' and e.status in ('Running', 'Error', 'Stopped'))
                     or (e.attrs ->> 'scope' = 'whole' and e.status in ('Error', 'Stopped')))
                 and not exists (select 1 from execution r where r.vendor_type = 'REPLICATION' and r.vendor_id = y.id
                     and r.attrs ->> 'repeats' = e.id and r.status = 'Success')) as behind_at
             from replication_policy y left join (
                 select vendor_id, max(started_at) as at from execution
                 where vendor_type = 'REPLICATION' and status = 'Success' and attrs ->> 'scope' = 'whole'
                 and forgotten_at is null group by vendor_id) w on w.vendor_id = y.id
             where y.enabled = 1",
            "select y.id, y.trigger_kind, coalesce(w.at, y.created_at) as whole_at, (
                 select min(e.started_at) from execution e
                 where e.vendor_type = 'REPLICATION' and e.vendor_id = y.id and e.forgotten_at is null
                 and e.started_at > coalesce(w.at, 0) and (
                     (cast(e.attrs as json) ->> 'scope' = 'changes' and e.status in ('Running', 'Error', 'Stopped'))
                     or (cast(e.attrs as json) ->> 'scope' = 'whole' and e.status in ('Error', 'Stopped')))
                 and not exists (select 1 from execution r where r.vendor_type = 'REPLICATION' and r.vendor_id = y.id
                     and cast(r.attrs as json) ->> 'repeats' = cast(e.id as text) and r.status = 'Success')) as behind_at
             from replication_policy y left join (
                 select vendor_id, max(started_at) as at from execution
                 where vendor_type = 'REPLICATION' and status = 'Success' and cast(attrs as json) ->> 'scope' = 'whole'
                 and forgotten_at is null group by vendor_id) w on w.vendor_id = y.id
             where y.enabled = 1",
        )
        .all()
        .await?;
    let lag = |row: &Row| {
        let table = "replication_policy";
        let by_events = row.get::<TriggerKind>(table, "trigger_kind")? == TriggerKind::EventBased;
        let since = match by_events {
            true => row.get::<Option<Timestamp>>("execution", "behind_at")?,
            false => Some(row.get("execution", "whole_at")?),
        };
        let behind = since.map_or(Duration::ZERO, |since| now.since(since));
        Ok((row.get(table, "id")?, behind))
    };
    rows.iter().map(lag).collect()
}

/// A policy whose last runs failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The policy, which is enabled and started by events.
    pub policy: ReplicationPolicyId,
    /// Runs that failed since one succeeded.
    pub failures: i64,
    /// When the last of them ended.
    pub failed_at: Timestamp,
}

/// Policies that events start, whose last run failed, and of which none goes on.
///
/// # Errors
/// When the statement fails.
pub async fn owed(reader: &mut Reader) -> Result<Vec<Owed>> {
    let rows = reader
        .query_either(
            "select y.id, count(*) as failures, max(f.ended_at) as failed_at
             from replication_policy y join execution f on f.vendor_type = 'REPLICATION' and f.vendor_id = y.id
                 and f.status = 'Error' and f.ended_at is not null and f.forgotten_at is null and f.attrs ->> 'scope' <> 'nothing'
             where y.enabled = 1 and y.trigger_kind = 'event_based' and not exists (
                 select 1 from execution e where e.vendor_type = 'REPLICATION' and e.vendor_id = y.id
                 and (e.status = 'Running'
                     or (e.id >= f.id and e.status in ('Success', 'Stopped') and e.attrs ->> 'scope' = 'whole')))
             group by y.id",
            "select y.id, count(*) as failures, max(f.ended_at) as failed_at
             from replication_policy y join execution f on f.vendor_type = 'REPLICATION' and f.vendor_id = y.id
                 and f.status = 'Error' and f.ended_at is not null and f.forgotten_at is null
                 and cast(f.attrs as json) ->> 'scope' <> 'nothing'
             where y.enabled = 1 and y.trigger_kind = 'event_based' and not exists (
                 select 1 from execution e where e.vendor_type = 'REPLICATION' and e.vendor_id = y.id
                 and (e.status = 'Running' or (e.id >= f.id and e.status in ('Success', 'Stopped')
                     and cast(e.attrs as json) ->> 'scope' = 'whole')))
             group by y.id",
        )
        .all()
        .await?;
    let owed = |row: &Row| {
        Ok(Owed {
            policy: row.get("replication_policy", "id")?,
            failures: row.get("execution", "failures")?,
            failed_at: row.get("execution", "failed_at")?,
        })
    };
    rows.iter().map(owed).collect()
}
