//! Queues that administrators pause: jobs of their kinds wait, on all replicas, until they are resumed; running ones
//! continue. Stored in the database, so that a restart does not resume them.

use std::collections::BTreeSet;

use db::{Db, Reader, Tx, installation, job};
use model::{Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use policy::system::SystemNeed;

use crate::Result;

/// The name of the paused queues in the database.
const PAUSED: &str = "paused-queues";

/// The queue for schedules.
pub const SCHEDULER: &str = "scheduler";

/// The kinds of jobs with a queue, and the scheduler's. Standing jobs have none.
pub const QUEUES: [&str; 6] = [
    "audit_partition",
    "audit_purge",
    "gc_run",
    "prune",
    model::retention::JOB,
    SCHEDULER,
];

/// The paused queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused(BTreeSet<String>);

impl Paused {
    /// Reads them.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn read(reader: &mut Reader) -> db::Result<Self> {
        let stored = installation::get(reader, PAUSED).await?;
        let kinds = stored.map(|json| serde_json::from_slice(&json).unwrap_or_default());
        Ok(Self(kinds.unwrap_or_default()))
    }

    /// Whether a queue is paused.
    pub fn has(&self, kind: &str) -> bool {
        self.0.contains(kind)
    }
}

/// An action on queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Cancels waiting jobs.
    Stop,
    /// Makes jobs wait from now on.
    Pause,
    /// Lets them run again.
    Resume,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// Stops, pauses or resumes the queue of a kind of [`QUEUES`]; `None` for all of them.
///
/// # Errors
/// When the database fails.
pub async fn act(
    db: &Db,
    permit: &SystemPermit<impl SystemNeed>,
    kind: Option<&'static str>,
    action: Action,
    now: Timestamp,
) -> Result<()> {
    let name = format!("queue {}", kind.unwrap_or("all"));
    let subject = Subject::Installation(ResourceType::Job, name);
    let event = Event::new(now, permit.caller().origin(), Operation::Update, subject);
    let event = event.with_detail(action.name());
    db.write(move |tx| {
        Box::pin(async move {
            match action {
                Action::Stop => {
                    job::cancel_queued(tx, kind, now).await?;
                }
                Action::Pause | Action::Resume => set(tx, kind, action == Action::Pause).await?,
            }
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

async fn set(tx: &mut Tx, kind: Option<&'static str>, is_paused: bool) -> Result<()> {
    let Paused(mut paused) = Paused::read(tx).await?;
    for kind in QUEUES
        .into_iter()
        .filter(|one| kind.is_none_or(|kind| kind == *one))
    {
        match is_paused {
            true => paused.insert(kind.to_owned()),
            false => paused.remove(kind),
        };
    }
    let json = serde_json::to_string(&paused).unwrap_or_default();
    Ok(installation::put(tx, PAUSED, json.as_bytes()).await?)
}
