//! Changing and ending memberships.

use axum::extract::State;
use db::member;
use policy::{Action, Resource};
use serde::Deserialize;

use crate::caller::By;
use crate::json::{BodyOf, Unread};
use crate::member::{check_role, find, note};
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
    let now = app.clock.now();
    app.db
        .write_in(permit.project().id, move |tx| {
            Box::pin(async move {
                let project = permit.project().id;
                let member = find(tx, project, id).await?;
                member::set_role(tx, &member, role).await?;
                let named = (project, member.name.as_str());
                note(tx, permit.caller(), "update", named, role, now).await
            })
        })
        .await
}

/// `DELETE …/members/{mid}`: 200 also if there is no such member.
pub(crate) async fn remove(
    State(app): App,
    named: ProjectRef,
    MemberRef(id): MemberRef,
    By(caller): By,
) -> Result<(), Error> {
    let (permit, _) = permitted(&app.db, &caller, &named, Resource::Member, Action::Delete).await?;
    let now = app.clock.now();
    app.db
        .write_in(permit.project().id, move |tx| {
            Box::pin(async move {
                let project = permit.project().id;
                let Some(member) = member::get(tx, project, id).await? else {
                    return Ok(());
                };
                member::remove(tx, &member).await?;
                let named = (project, member.name.as_str());
                note(tx, permit.caller(), "delete", named, member.role, now).await
            })
        })
        .await
}
