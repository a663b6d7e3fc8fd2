//! Work that administrators start or schedule: garbage collection and purges of the audit log. It runs as jobs of the
//! engine, each with its parameters.

use db::Db;
use db::job::{self, NewJob, Priority};
use db::schedule::{self, NewSchedule};
use model::{Cron, Event, JobId, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use policy::system::SystemNeed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::Job;
use crate::{Error, Result};

/// When such work runs. The names are Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cadence {
    /// Once, now.
    Manual,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// At other times.
    Custom,
}

impl Cadence {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "Manual",
            Self::Hourly => "Hourly",
            Self::Daily => "Daily",
            Self::Weekly => "Weekly",
            Self::Custom => "Custom",
        }
    }
}

/// The payload of a run: when it was to run, and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered<P> {
    /// When it runs.
    pub cadence: Cadence,
    /// Its parameters.
    #[serde(flatten)]
    pub parameters: P,
}

/// Work that administrators start or schedule.
pub trait Execution: Job<Payload = Ordered<<Self as Execution>::Parameters>> {
    /// Its parameters.
    type Parameters: Serialize + DeserializeOwned + Send + 'static;
}

/// Starts a run, which begins as soon as none of its kind is running.
///
/// # Errors
/// When the database fails.
pub async fn start<E: Execution>(
    db: &Db,
    permit: &SystemPermit<impl SystemNeed>,
    parameters: E::Parameters,
    now: Timestamp,
) -> Result<JobId> {
    let payload = payload(Cadence::Manual, parameters)?;
    let new = NewJob {
        kind: E::KIND.to_owned(),
        payload_version: E::VERSION,
        payload: payload.clone(),
        dedup_key: None,
        lane: None,
        priority: Priority::High,
        due_at: now,
    };
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let id = job::add(tx, &new, now).await?;
            // Without a key, no other job can conflict.
            let id = id.ok_or(Error::NotRetried(JobId(0)))?;
            let subject = Subject::Installation(ResourceType::Job, format!("{} {id}", new.kind));
            let event = Event::new(now, origin, Operation::Create, subject);
            tx.record(&event.with_detail(payload)).await?;
            Ok(id)
        })
    })
    .await
}

/// Sets when such work runs, replacing any earlier schedule.
///
/// # Errors
/// When the database fails.
pub async fn schedule<E: Execution>(
    db: &Db,
    permit: &SystemPermit<impl SystemNeed>,
    (cadence, cron): (Cadence, Cron),
    parameters: E::Parameters,
    now: Timestamp,
) -> Result<()> {
    let payload = payload(cadence, parameters)?;
    let detail = format!("{cron} {payload}");
    let new = NewSchedule {
        payload,
        ..NewSchedule::of_kind(E::KIND, E::VERSION, cron)
    };
    let event = scheduled::<E>(permit, Operation::Update, now).with_detail(detail);
    db.write(move |tx| {
        Box::pin(async move {
            // The next time of the previous schedule is not kept.
            schedule::remove(tx, &new.kind, &new.subject).await?;
            schedule::set(tx, &new, now).await?;
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Ends the schedule of such work.
///
/// # Errors
/// When the database fails.
pub async fn unschedule<E: Execution>(
    db: &Db,
    permit: &SystemPermit<impl SystemNeed>,
    now: Timestamp,
) -> Result<()> {
    let event = scheduled::<E>(permit, Operation::Delete, now);
    db.write(move |tx| {
        Box::pin(async move {
            schedule::remove(tx, E::KIND, "").await?;
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

fn payload<P: Serialize>(cadence: Cadence, parameters: P) -> Result<String> {
    let ordered = Ordered {
        cadence,
        parameters,
    };
    serde_json::to_string(&ordered).map_err(Error::Payload)
}

fn scheduled<E: Execution>(
    permit: &SystemPermit<impl SystemNeed>,
    operation: Operation,
    now: Timestamp,
) -> Event {
    let subject = Subject::Installation(ResourceType::Job, format!("{} schedule", E::KIND));
    Event::new(now, permit.caller().origin(), operation, subject)
}
