//! Giving and taking the right to do everything.

use axum::extract::State;
use db::account;
use serde::Deserialize;

use crate::caller::{By, permit_system};
use crate::json::{BodyOf, Parsed};
use crate::param::UserRef;
use crate::user::{find_in, note};
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

/// `PUT /users/{user_id}/sysadmin`
pub(crate) async fn set(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    Parsed(body): Parsed<SysadminFlag>,
) -> Result<(), Error> {
    let permit = permit_system(&caller)?;
    let sysadmin = body.sysadmin_flag.unwrap_or_default();
    let detail = format!("sysadmin_flag {sysadmin}");
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let name = find_in(tx, id).await?.name;
                account::set_sysadmin(tx, id, sysadmin, now).await?;
                note(tx, permit.caller(), "update", &name, &detail, now).await
            })
        })
        .await
}
