//! One group.

use axum::Json;
use axum::extract::State;
use db::group;
use policy::{SystemPermit, system, to};

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::group::View;
use crate::param::GroupRef;
use crate::{App, Error};

/// Returns a group.
#[utoipa::path(
    get, path = "/api/v2.0/usergroups/{group_id}", operation_id = "getUserGroup", tag = "usergroup",
    responses((status = 200, description = "The group.", body = View))
)]
pub(crate) async fn get(
    GroupRef(id): GroupRef,
    Granted(_): Granted<SystemPermit<(system::Group, to::Read)>>,
    State(app): App,
) -> Rendered<View> {
    let found = group::by_id(&mut app.db.reader().await?, id).await?;
    let group = found.ok_or_else(|| Error::NotFound(format!("user group {id} not found")))?;
    Ok(Json(group.into()))
}
