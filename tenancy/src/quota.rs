//! Limits of projects.

use db::{Db, project, quota};
use model::{Operation, ProjectId, StorageLimit, Timestamp};
use policy::{SystemPermit, system, to};

use crate::project::event;
use crate::{Error, Result};

/// Sets how much a project may hold. It may be less than the project holds, which then accepts nothing more.
///
/// # Errors
/// [`Error::ProjectGone`].
pub async fn set(
    db: &Db,
    permit: &SystemPermit<(system::Quota, to::Update)>,
    id: ProjectId,
    limit: StorageLimit,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write_in(id, move |tx| {
        Box::pin(async move {
            quota::set_limit(tx, id, limit.bytes()).await?;
            let project = project::by_id(tx, id).await?.ok_or(Error::ProjectGone)?;
            let named = (id, &project.name);
            let event = event(now, origin, Operation::Update, named);
            let detail = format!("storage limit {}", limit.bytes());
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}
