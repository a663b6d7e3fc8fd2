//! Granting and revoking system administrator rights.

use axum::extract::State;
use policy::SystemPermit;
use serde::Deserialize;
use tenancy::user;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::{App, Error};

/// The body of `PUT /users/{user_id}/sysadmin`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct SysadminFlag {
    sysadmin_flag: Option<bool>,
}

impl BodyOf for SysadminFlag {
    const NAME: &'static str = "sysadmin_flag";
}

/// Grants or revokes the right to do everything; 412 for the last system administrator.
#[utoipa::path(
    put, path = "/api/v2.0/users/{user_id}/sysadmin", operation_id = "setUserSysAdmin", tag = "user",
    request_body = SysadminFlag,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn set(
    UserRef(id): UserRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<SysadminFlag>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let sysadmin = body.sysadmin_flag.ok_or_else(|| {
        Error::BadRequest("sysadmin_flag in body is required: true or false".to_owned())
    })?;
    Ok(user::set_sysadmin(&app.db, &permit, id, sysadmin, app.clock.now()).await?)
}
