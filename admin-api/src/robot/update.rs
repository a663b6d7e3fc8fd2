//! Changing robots.

use axum::extract::State;
use db::robot::Robot;
use policy::{RobotPermit, to};
use serde::Deserialize;
use tenancy::robot::{self, Changes};
use utoipa::ToSchema;

use crate::json::{BodyOf, Unread};
use crate::robot::create::{description, lifetime};
use crate::robot::managed::Managed;
use crate::robot::permission::{AskedPermissions, RobotPermission};
use crate::robot::{PROJECT, SYSTEM};
use crate::{AdminState, App, Error};

/// The body of `PUT /robots/{robot_id}`: the robot as read, with the changes.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RobotUpdate {
    description: Option<String>,
    disable: Option<bool>,
    duration: Option<i64>,
    /// Unchanged.
    level: Option<String>,
    /// Unchanged.
    name: Option<String>,
    /// All of them.
    permissions: Option<Vec<RobotPermission>>,
}

impl BodyOf for RobotUpdate {
    const NAME: &'static str = "robot";
}

/// Changes a robot's description, lifetime (counted from its creation) and permissions, and disables or enables it.
/// Name and level stay. It cannot get new permissions that the caller lacks.
#[utoipa::path(
    put, path = "/api/v2.0/robots/{robot_id}", operation_id = "UpdateRobot", tag = "robot",
    request_body = RobotUpdate,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    Managed { permit, robot }: Managed<to::Update>,
    State(app): App,
    body: Unread<RobotUpdate>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let changes = check(&app, &permit, &robot, body).await?;
    Ok(robot::update(&app.db, &permit, robot.id, changes, app.clock.now()).await?)
}

/// The changes in a body.
async fn check(
    app: &AdminState,
    permit: &RobotPermit<to::Update>,
    robot: &Robot,
    body: RobotUpdate,
) -> Result<Changes, Error> {
    let level = match permit {
        RobotPermit::System(_) => SYSTEM,
        RobotPermit::Project(_) => PROJECT,
    };
    if body.level.as_deref() != Some(level) || body.name.as_deref() != Some(&*robot.full_name) {
        return Err(Error::BadRequest(
            "cannot update the level or name of robot".to_owned(),
        ));
    }
    let asked = AskedPermissions::parse(body.permissions)?;
    if let RobotPermit::Project(permit) = permit
        && asked.only_project()? != permit.project().name
    {
        return Err(Error::BadRequest(
            "cannot update the project id of robot".to_owned(),
        ));
    }
    let mut reader = app.db.reader().await?;
    let permissions = asked.resolve(&mut reader, permit).await?;
    Ok(Changes {
        description: Some(description(body.description.unwrap_or_default())?),
        lifetime: body.duration.map(lifetime).transpose()?,
        disabled: Some(body.disable.unwrap_or(false)),
        permissions: Some(permissions),
    })
}
