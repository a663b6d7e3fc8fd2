//! Making robots.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{StatusCode, Uri};
use model::{Lifetime, RobotDescription, RobotId};
use policy::PermissionList;
use serde::{Deserialize, Serialize};
use tenancy::robot::{self, NewRobot};
use utoipa::ToSchema;

use crate::json::{BodyOf, Unread};
use crate::robot::managed::Making;
use crate::robot::permission::{AskedPermissions, RobotPermission};
use crate::robot::secret::{chosen, random};
use crate::robot::{PROJECT, SYSTEM, seconds};
use crate::{AdminState, App, Error};

/// The body of `POST /robots`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RobotCreate {
    description: Option<String>,
    disable: Option<bool>,
    /// Days for which it is valid; -1 for ever. By default `robot_token_duration`.
    duration: Option<i64>,
    /// `system` or `project`.
    level: Option<String>,
    name: Option<String>,
    permissions: Option<Vec<RobotPermission>>,
    /// A chosen secret, which follows the rules for passwords; by default a random one.
    secret: Option<String>,
}

impl BodyOf for RobotCreate {
    const NAME: &'static str = "robot";
}

/// A robot that was made. The secret is not shown again.
#[derive(Serialize, ToSchema)]
pub(crate) struct RobotCreated {
    creation_time: String,
    /// Seconds since 1970; -1 for never.
    expires_at: i64,
    #[schema(value_type = i64)]
    id: RobotId,
    name: String,
    secret: String,
}

/// Makes a robot of a project, or of the system. It cannot get permissions that the caller lacks.
#[utoipa::path(
    post, path = "/api/v2.0/robots", operation_id = "CreateRobot", tag = "robot",
    request_body = RobotCreate,
    responses((status = 201, description = "Made; `Location` leads there.", body = RobotCreated))
)]
pub(crate) async fn create(
    Making(signed_in): Making,
    State(app): App,
    uri: Uri,
    body: Unread<RobotCreate>,
) -> Result<impl IntoResponse, Error> {
    let (signed_in, body) = body.read(&app, signed_in).await?;
    let asked = AskedPermissions::parse(body.permissions.clone())?;
    let project = match body.level.as_deref().unwrap_or_default() {
        SYSTEM => None,
        PROJECT => Some(asked.only_project()?),
        other => {
            let message = format!("bad request error level input: {other}");
            return Err(Error::BadRequest(message));
        }
    };
    let permit = Making::permit(&app, &signed_in, project).await?;
    let permissions = asked.resolve(&mut app.db.reader().await?, &permit).await?;
    let new = check(&app, body, permissions)?;
    let secret = new.secret.clone();
    let prefix = app.settings.current().robot_name_prefix.clone();
    let (hasher, now) = (app.identity.hasher(), app.clock.now());
    let made = robot::create(&app.db, hasher, &permit, (&prefix, new), now).await?;
    let location = format!("{}/{}", uri.path().trim_end_matches('/'), made.id);
    let created = RobotCreated {
        creation_time: now.to_string(),
        expires_at: seconds(made.expires_at),
        id: made.id,
        name: made.full_name,
        secret: secret.expose().to_owned(),
    };
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(created)))
}

/// The robot described by a body.
fn check(
    app: &AdminState,
    body: RobotCreate,
    permissions: PermissionList,
) -> Result<NewRobot, Error> {
    let usual = app.settings.current().robot_token_duration;
    let secret = body.secret.filter(|secret| !secret.is_empty());
    Ok(NewRobot {
        name: name(&body.name.unwrap_or_default())?,
        description: description(body.description.unwrap_or_default())?,
        lifetime: lifetime(body.duration.unwrap_or(usual))?,
        disabled: body.disable.unwrap_or(false),
        permissions,
        secret: match secret {
            Some(secret) => chosen(secret)?,
            None => random()?,
        },
    })
}

fn name(text: &str) -> Result<model::RobotName, Error> {
    text.parse()
        .map_err(|invalid: model::robot::InvalidRobotName| Error::BadRequest(invalid.to_string()))
}

pub(super) fn description(text: String) -> Result<RobotDescription, Error> {
    RobotDescription::try_from(text).map_err(|invalid| Error::BadRequest(invalid.to_string()))
}

pub(super) fn lifetime(days: i64) -> Result<Lifetime, Error> {
    Lifetime::try_from(days).map_err(|invalid| Error::BadRequest(invalid.to_string()))
}
