//! One robot.

use axum::Json;
use axum::extract::State;
use policy::to;

use crate::App;
use crate::error::Rendered;
use crate::robot::managed::Managed;
use crate::robot::{View, permission};

/// Returns a robot, without its secret.
#[utoipa::path(
    get, path = "/api/v2.0/robots/{robot_id}", operation_id = "GetRobotByID", tag = "robot",
    responses((status = 200, description = "The robot.", body = View))
)]
pub(crate) async fn get(
    Managed { robot, .. }: Managed<to::Read>,
    State(app): App,
) -> Rendered<View> {
    let mut reader = app.db.reader().await?;
    let mut permissions = permission::of(&mut reader, &[robot.id]).await?;
    let permissions = permissions.remove(&robot.id).unwrap_or_default();
    View::new(robot, permissions, app.clock.now()).map(Json)
}
