//! Changing and ending memberships.

use axum::extract::State;
use policy::{on, to};
use serde::Deserialize;
use tenancy::member;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::member::check_role;
use crate::param::MemberRef;
use crate::{App, Error};

/// The body of `PUT …/members/{mid}`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RoleRequest {
    role_id: Option<i64>,
}

impl BodyOf for RoleRequest {
    const NAME: &'static str = "role";
}

/// Changes a member's role.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name_or_id}/members/{mid}", operation_id = "updateProjectMember", tag = "member",
    request_body = RoleRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    MemberRef(id): MemberRef,
    Allowed { permit, .. }: Allowed<on::Member, to::Update>,
    State(app): App,
    body: Unread<RoleRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let role = check_role(body.role_id)?;
    Ok(member::change(&app.db, &permit, id, role, app.clock.now()).await?)
}

/// Ends a membership; 200 also if there is no such member.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name_or_id}/members/{mid}", operation_id = "deleteProjectMember", tag = "member",
    responses((status = 200, description = "Ended."))
)]
pub(crate) async fn remove(
    MemberRef(id): MemberRef,
    Allowed { permit, .. }: Allowed<on::Member, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    match member::revoke(&app.db, &permit, id, app.clock.now()).await {
        Err(tenancy::Error::MemberUnknown { .. }) => Ok(()),
        revoked => Ok(revoked?),
    }
}
