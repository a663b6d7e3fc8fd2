//! Secrets of robots: they are shown once, when they are made.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CACHE_CONTROL;
use model::SecretGrace;
use policy::to;
use serde::{Deserialize, Serialize};
use tenancy::password::NewPassword;
use tenancy::robot;
use tenancy::robot::secret::RobotSecret;
use utoipa::ToSchema;

use crate::json::{BodyOf, Unread};
use crate::robot::managed::Managed;
use crate::{App, Error};

/// The body of `PATCH /robots/{robot_id}`, and of its answer.
#[derive(Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct RobotSec {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Days, up to 30, for which the present secret works too. By default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_days: Option<i64>,
}

impl BodyOf for RobotSec {
    const NAME: &'static str = "robotSec";
}

/// Gives a robot the secret in the body, or a random one, which the answer shows. Existing tokens are
/// revoked; within `grace_days` the old secret gets new ones too.
#[utoipa::path(
    patch, path = "/api/v2.0/robots/{robot_id}", operation_id = "RefreshSec", tag = "robot",
    request_body = RobotSec,
    responses((status = 200, description = "The secret, if it is a new random one.", body = RobotSec))
)]
pub(crate) async fn set(
    Managed { permit, robot }: Managed<to::Update>,
    State(app): App,
    body: Unread<RobotSec>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let grace = SecretGrace::try_from(body.grace_days.unwrap_or_default());
    let grace = grace.map_err(|invalid| Error::BadRequest(invalid.to_string()))?;
    let given = body.secret.filter(|secret| !secret.is_empty());
    let secret = match given {
        Some(secret) => chosen(secret)?,
        None => random()?,
    };
    let (hasher, now) = (app.identity.hasher(), app.clock.now());
    robot::set_secret(&app.db, hasher, &permit, (robot.id, &secret, grace), now).await?;
    let shown = match &secret {
        RobotSecret::Random(text) => Some(text.expose().to_owned()),
        RobotSecret::Chosen(_) => None,
    };
    let headers = [(CACHE_CONTROL, "no-store")];
    let answer = RobotSec {
        secret: shown,
        grace_days: None,
    };
    Ok((headers, Json(answer)))
}

/// A random secret.
pub(super) fn random() -> Result<RobotSecret, Error> {
    Ok(RobotSecret::random()?)
}

/// A chosen secret, if it follows the rules. The message is Harbor's.
pub(super) fn chosen(text: String) -> Result<RobotSecret, Error> {
    let secret = NewPassword::try_from(text).map_err(|_| {
        Error::BadRequest(
            "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter and 1 number"
                .to_owned(),
        )
    })?;
    Ok(RobotSecret::Chosen(secret))
}
