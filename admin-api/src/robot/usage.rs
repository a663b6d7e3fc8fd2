//! The use of a robot.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use db::audit::Filter;
use db::audit::series::{self, Point};
use policy::to;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::error::Rendered;
use crate::robot::managed::Managed;

/// Days to show.
const DAYS: u32 = 30;
const DAY: Duration = Duration::from_secs(86_400);

/// The use of a robot.
#[derive(Serialize, ToSchema)]
pub(crate) struct RobotUsage {
    /// What it did by day, oldest first; days without anything are left out.
    days: Vec<RobotDay>,
    /// From where it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_address: Option<String>,
    /// When it was last used, up to a minute late.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// Whether the first day is incomplete and earlier ones are missing, because the number of counted audit entries is
    /// limited.
    truncated: bool,
}

/// What a robot did in a day, from the audit log.
#[derive(Serialize, ToSchema)]
struct RobotDay {
    done: i64,
    refused: i64,
    time: String,
}

impl From<Point> for RobotDay {
    fn from(point: Point) -> Self {
        Self {
            done: point.done,
            refused: point.refused,
            time: point.since.to_string(),
        }
    }
}

/// Returns when and from where a robot was last used, and what it did in the last 30 days.
#[utoipa::path(
    get, path = "/api/ext/v1/robots/{robot_id}/usage", operation_id = "getRobotUsage", tag = "robot",
    responses((status = 200, description = "How it is used.", body = RobotUsage))
)]
pub(crate) async fn get(
    Managed { robot, .. }: Managed<to::Read>,
    State(app): App,
) -> Rendered<RobotUsage> {
    // Another robot may have had the name before.
    let since = app.clock.now().minus(DAY * DAYS).max(robot.created_at);
    let filter = Filter {
        principal: Some(robot.full_name),
        from: Some(since),
        ..Filter::default()
    };
    let mut reader = app.db.reader().await?;
    let day = DAY.as_micros() as i64;
    let (points, truncated) = series::series(&mut reader, &filter, day).await?;
    Ok(Json(RobotUsage {
        days: points.into_iter().map(RobotDay::from).collect(),
        last_used_address: robot.used_address,
        last_used_at: robot.used_at.map(|at| at.to_string()),
        truncated,
    }))
}
