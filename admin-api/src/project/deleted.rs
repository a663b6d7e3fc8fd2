//! Deleted projects, which can be restored for some time.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::project::deleted::{self, Deleted};
use model::{ProjectId, Timestamp};
use policy::SystemPermit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::param::DeletedProjectRef;
use crate::{AdminState, App, Error};

/// A deleted project.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedProject)]
pub(crate) struct View {
    creation_time: String,
    deletion_time: String,
    /// The name that it had.
    name: String,
    /// Whether another project has the name now: it cannot be restored before that one is deleted.
    name_taken: bool,
    owner_name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    /// Until when it can be restored.
    restorable_until: String,
}

/// The time of deletion from which projects can still be restored.
pub(crate) fn restorable_since(app: &AdminState) -> Timestamp {
    let restorable = app.settings.current().project_restorable();
    app.clock.now().minus(restorable)
}

/// Lists deleted projects that can be restored.
#[utoipa::path(
    get, path = "/api/ext/v1/deleted-projects", operation_id = "listDeletedProjects", tag = "project",
    responses((status = 200, description = "A page of deleted projects.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    _: Granted<SystemPermit>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&deleted::FIELDS)?;
    let restorable = app.settings.current().project_restorable();
    let mut reader = app.db.reader().await?;
    let (found, total) = deleted::list(&mut reader, restorable_since(&app), &selection).await?;
    let view = |project: Deleted| View {
        creation_time: project.created_at.to_string(),
        deletion_time: project.deleted_at.to_string(),
        name: project.name.to_string(),
        name_taken: project.is_taken,
        owner_name: project.owner_name,
        project_id: project.id,
        restorable_until: project.deleted_at.plus(restorable).to_string(),
    };
    let views: Vec<View> = found.into_iter().map(view).collect();
    Ok(listing.answer(&views, total))
}

/// The project that was restored.
#[derive(Serialize, ToSchema)]
pub(crate) struct Restored {
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
}

/// Restores a deleted project with its settings, labels, immutability rules and members. Its robots, retention policy,
/// webhooks and workload rules are gone. 409 if another project has its name now.
#[utoipa::path(
    post, path = "/api/ext/v1/deleted-projects/{project_id}/restore", operation_id = "restoreProject", tag = "project",
    responses((status = 200, description = "Restored.", body = Restored))
)]
pub(crate) async fn restore(
    DeletedProjectRef(id): DeletedProjectRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<Restored> {
    let (since, now) = (restorable_since(&app), app.clock.now());
    let name = tenancy::project::restore(&app.db, &permit, (id, since), now).await?;
    Ok(Json(Restored {
        name: name.to_string(),
        project_id: id,
    }))
}
