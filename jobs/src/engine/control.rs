//! Administrators' actions on jobs.

use db::Db;
use db::job::{self, Cancelled};
use model::{Event, JobId, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use policy::system::SystemNeed;

use crate::{Error, Result};

/// Makes a failed, cancelled or waiting job due now.
///
/// # Errors
/// [`Error::NotRetried`] if the job is running, done or unknown, or if another one like it is queued or running; when the
/// database fails.
pub async fn retry(db: &Db, permit: &SystemPermit, id: JobId, now: Timestamp) -> Result<()> {
    let event = event(permit, id, "retry", now);
    let retried = db.write(move |tx| {
        Box::pin(async move {
            let retried = match job::retry(tx, id, now).await {
                Err(db::Error::Duplicate(_)) => false,
                retried => retried?,
            };
            if !retried {
                return Err(Error::NotRetried(id));
            }
            Ok(tx.record(&event).await?)
        })
    });
    retried.await
}

/// Cancels a queued job, or asks the holder of a running one to stop.
///
/// # Errors
/// [`Error::NotCancelled`] if the job is neither running nor queued for a single run; when the database fails.
pub async fn cancel(
    db: &Db,
    permit: &SystemPermit<impl SystemNeed>,
    id: JobId,
    now: Timestamp,
) -> Result<Cancelled> {
    let event = event(permit, id, "cancel", now);
    let cancelled = db.write(move |tx| {
        Box::pin(async move {
            let cancelled = job::cancel(tx, id, now).await?;
            match cancelled {
                Cancelled::Not => Err(Error::NotCancelled(id)),
                Cancelled::Done | Cancelled::Asked => {
                    tx.record(&event).await?;
                    Ok(cancelled)
                }
            }
        })
    });
    cancelled.await
}

fn event(permit: &SystemPermit<impl SystemNeed>, id: JobId, detail: &str, now: Timestamp) -> Event {
    let subject = Subject::Installation(ResourceType::Job, id.to_string());
    let origin = permit.caller().origin();
    Event::new(now, origin, Operation::Update, subject).with_detail(detail)
}
