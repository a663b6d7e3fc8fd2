//! Granting and revoking system administrator rights.

use axum::extract::State;
use serde::Deserialize;
use tenancy::account;

use crate::caller::{By, permit_system};
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::{App, Error};

/// The body of `PUT /users/{user_id}/sysadmin`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SysadminFlag {
    sysadmin_flag: Option<bool>,
}

impl BodyOf for SysadminFlag {
    const NAME: &'static str = "sysadmin_flag";
}

/// `PUT /users/{user_id}/sysadmin`: the last system administrator cannot be demoted.
pub(crate) async fn set(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    body: Unread<SysadminFlag>,
) -> Result<(), Error> {
    let permit = permit_system(&caller)?;
    let body = body.read(&permit).await?;
    let sysadmin = body.sysadmin_flag.ok_or_else(|| {
        Error::BadRequest("sysadmin_flag in body is required: true or false".to_owned())
    })?;
    Ok(account::set_sysadmin(&app.db, &permit, id, sysadmin, app.clock.now()).await?)
}
