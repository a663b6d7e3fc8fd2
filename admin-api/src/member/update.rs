//! Changing and ending memberships.

use axum::extract::State;
use policy::{Action, Resource};
use serde::Deserialize;
use tenancy::member;

use crate::caller::By;
use crate::json::{BodyOf, Unread};
use crate::member::check_role;
use crate::param::{MemberRef, ProjectRef};
use crate::project::permitted;
use crate::{App, Error};

/// The body of `PUT …/members/{mid}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoleRequest {
    role_id: Option<i64>,
}

impl BodyOf for RoleRequest {
    const NAME: &'static str = "role";
}

/// `PUT …/members/{mid}`
pub(crate) async fn update(
    State(app): App,
    named: ProjectRef,
    MemberRef(id): MemberRef,
    By(caller): By,
    body: Unread<RoleRequest>,
) -> Result<(), Error> {
    let (permit, _) = permitted(&app.db, &caller, &named, Resource::Member, Action::Update).await?;
    let body = body.read(&permit).await?;
    let role = check_role(body.role_id)?;
    Ok(member::change(&app.db, &permit, id, role, app.clock.now()).await?)
}

/// `DELETE …/members/{mid}`: 200 also if there is no such member.
pub(crate) async fn remove(
    State(app): App,
    named: ProjectRef,
    MemberRef(id): MemberRef,
    By(caller): By,
) -> Result<(), Error> {
    let (permit, _) = permitted(&app.db, &caller, &named, Resource::Member, Action::Delete).await?;
    match member::revoke(&app.db, &permit, id, app.clock.now()).await {
        Err(tenancy::Error::MemberUnknown { .. }) => Ok(()),
        revoked => Ok(revoked?),
    }
}
