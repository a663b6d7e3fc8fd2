//! Deleting robots.

use axum::extract::State;
use policy::to;

use crate::robot::managed::Managed;
use crate::{App, Error};

/// Deletes a robot: its secret and its tokens no longer work.
#[utoipa::path(
    delete, path = "/api/v2.0/robots/{robot_id}", operation_id = "DeleteRobot", tag = "robot",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    Managed { permit, robot }: Managed<to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    Ok(tenancy::robot::delete(&app.db, &permit, robot.id, app.clock.now()).await?)
}
