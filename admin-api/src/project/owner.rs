//! The owner of a project: its creator, until another is named.

use axum::extract::State;
use db::user;
use policy::{SystemPermit, on, to};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::{Granted, permitted};
use crate::json::{BodyOf, Unread};
use crate::param::{ProjectRef, check_text};
use crate::{App, Error};

/// The body of `PUT …/owner`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ProjectOwner {
    /// The name of a user.
    username: Option<String>,
}

impl BodyOf for ProjectOwner {
    const NAME: &'static str = "owner";
}

/// Makes another user the owner of a project, for example when its creator has left. Roles stay unchanged.
#[utoipa::path(
    put, path = "/api/ext/v1/projects/{project_name_or_id}/owner", operation_id = "setProjectOwner", tag = "project",
    request_body = ProjectOwner,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn set(
    named: ProjectRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<ProjectOwner>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let name = body.username.unwrap_or_default();
    check_text("username", &name)?;
    let may = permitted::<on::Project, to::Update>(&app.db, permit.caller(), &named);
    let (_, project) = may.await?;
    let found = user::by_name(&mut app.db.reader().await?, &name).await?;
    let owner = found.ok_or_else(|| Error::NotFound(format!("user {name:?} not found")))?;
    let (project, now) = (project.facts(), app.clock.now());
    Ok(tenancy::project::set_owner(&app.db, &permit, project, owner.id, now).await?)
}
