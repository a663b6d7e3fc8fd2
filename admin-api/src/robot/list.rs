//! The robots of a project, or of the system.

use axum::extract::State;
use axum::response::Response;
use db::robot;
use model::RobotId;

use crate::robot::View;
use crate::robot::managed::Listed;
use crate::robot::permission::{self, RobotPermission};
use crate::{App, Error};

/// Lists robots of the system; with `q=Level=project,ProjectID=…` those of a project.
#[utoipa::path(
    get, path = "/api/v2.0/robots", operation_id = "ListRobot", tag = "robot",
    responses((status = 200, description = "A page of robots.", body = Vec<View>))
)]
pub(crate) async fn list(
    Listed {
        permit,
        mut listing,
    }: Listed,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&robot::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (robots, total) = robot::list(&mut reader, permit.project(), &selection).await?;
    let now = app.clock.now();
    let ids: Vec<RobotId> = robots.iter().map(|robot| robot.id).collect();
    let mut permissions = permission::of(&mut reader, &ids).await?;
    let given = permissions.values().flatten();
    listing.room.texts(given.map(RobotPermission::size).sum())?;
    let views = robots.into_iter().map(|robot| {
        let permissions = permissions.remove(&robot.id).unwrap_or_default();
        View::new(robot, permissions, now)
    });
    let views: Vec<View> = views.collect::<Result<_, _>>()?;
    Ok(listing.answer(&views, total))
}
