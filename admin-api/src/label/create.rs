//! Making labels.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use policy::SignedIn;

use super::{LabelRequest, permit_in, scope};
use crate::allowed::Granted;
use crate::json::Unread;
use crate::{App, Error};

/// Makes a label of the installation, for system administrators, or of a project, for callers who may do so there.
#[utoipa::path(
    post, path = "/api/v2.0/labels", operation_id = "CreateLabel", tag = "label",
    request_body = LabelRequest,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    uri: Uri,
    body: Unread<LabelRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, mut body) = body.read(&app, permit).await?;
    let scope = scope(body.scope.as_deref().unwrap_or_default(), body.project_id)?;
    let permit = permit_in(&app, permit.caller(), scope).await?;
    let id = tenancy::label::create(&app.db, &permit, body.content()?, app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}
