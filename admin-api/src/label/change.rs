//! Changing and deleting labels.

use axum::extract::State;
use policy::{SignedIn, to};

use super::{LabelRef, LabelRequest, find};
use crate::allowed::Granted;
use crate::json::Unread;
use crate::{App, Error};

/// Changes name, description and color of a label; its scope stays.
#[utoipa::path(
    put, path = "/api/v2.0/labels/{label_id}", operation_id = "UpdateLabel", tag = "label",
    request_body = LabelRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    LabelRef(id): LabelRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<LabelRequest>,
) -> Result<(), Error> {
    find::<to::Update>(&app, permit.caller(), id).await?;
    let (permit, mut body) = body.read(&app, permit).await?;
    let (permit, _) = find(&app, permit.caller(), id).await?;
    Ok(tenancy::label::change(&app.db, &permit, id, body.content()?, app.clock.now()).await?)
}

/// Deletes a label, and takes it off all artifacts.
#[utoipa::path(
    delete, path = "/api/v2.0/labels/{label_id}", operation_id = "DeleteLabel", tag = "label",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    LabelRef(id): LabelRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<(), Error> {
    let (permit, _) = find(&app, permit.caller(), id).await?;
    Ok(tenancy::label::delete(&app.db, &permit, id, app.clock.now()).await?)
}
