//! Robots of projects and of the system.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod managed;
pub(crate) mod permission;
pub(crate) mod secret;
pub(crate) mod update;
pub(crate) mod usage;

use db::robot::Robot;
use model::{RobotId, RobotMaker, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::robot::permission::RobotPermission;

/// A robot in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Robot)]
pub(crate) struct View {
    creation_time: String,
    creator_ref: i64,
    /// `local` for a user, `robot` for another robot.
    creator_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    disable: bool,
    /// Days for which it is valid; -1 for ever.
    duration: i64,
    editable: bool,
    /// Seconds since 1970; -1 for never.
    expires_at: i64,
    #[schema(value_type = i64)]
    id: RobotId,
    /// From where it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_address: Option<String>,
    /// When it was last used, up to a minute late.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    level: &'static str,
    name: String,
    permissions: Vec<RobotPermission>,
    /// The secret before the present one, while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret: Option<PreviousSecret>,
    update_time: String,
}

/// A robot's secret that was replaced and still works.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviousSecret {
    /// Until when it works.
    expires_at: String,
    /// How often it was used since it was replaced; a minute's uses may be missing.
    uses: i64,
    /// When it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
}

impl PreviousSecret {
    fn of(robot: &Robot, now: Timestamp) -> Option<Self> {
        let (_, until) = robot.previous_secret(now)?;
        Some(Self {
            expires_at: until.to_string(),
            uses: robot.previous_uses,
            last_used_at: robot.previous_used_at.map(|at| at.to_string()),
        })
    }
}

impl View {
    fn new(robot: Robot, permissions: Vec<RobotPermission>, now: Timestamp) -> Result<Self, Error> {
        let (creator_type, creator_ref) = match robot.maker()? {
            RobotMaker::User(id) => ("local", id.0),
            RobotMaker::Robot(id) => ("robot", id.0),
        };
        Ok(Self {
            previous_secret: PreviousSecret::of(&robot, now),
            creation_time: robot.created_at.to_string(),
            creator_ref,
            creator_type,
            description: robot.description,
            disable: robot.disabled,
            duration: robot.duration,
            editable: true,
            expires_at: seconds(robot.expires_at),
            id: robot.id,
            last_used_address: robot.used_address,
            last_used_at: robot.used_at.map(|at| at.to_string()),
            level: match robot.project_id {
                Some(_) => PROJECT,
                None => SYSTEM,
            },
            name: robot.full_name,
            permissions,
            update_time: robot.updated_at.to_string(),
        })
    }
}

/// The levels of robots.
const SYSTEM: &str = "system";
const PROJECT: &str = "project";

/// Seconds since 1970; -1 for never.
fn seconds(end: Option<Timestamp>) -> i64 {
    end.map_or(-1, Timestamp::seconds)
}
