//! The caller's preferences, as a page stored them.

use axum::Json;
use axum::extract::State;
use db::preference::Kind;
use policy::SignedIn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{kept, own_user};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// Maximum bytes of preferences, as JSON.
const LARGEST: usize = 16 << 10;

/// An object that only pages interpret.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct Preferences(Map<String, Value>);

impl BodyOf for Preferences {
    const NAME: &'static str = "preferences";
}

/// Returns the caller's preferences; `{}` if none are stored, 412 for a robot.
#[utoipa::path(
    get, path = "/api/ext/v1/me/preferences", operation_id = "getOwnPreferences", tag = "me",
    responses(
        (status = 200, description = "The preferences.", body = Preferences),
        (status = 412, description = "The caller is not a user."),
    )
)]
pub(crate) async fn get(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Preferences> {
    Ok(Json(kept(&app.db, &permit, Kind::Preferences).await?))
}

/// Replaces the caller's preferences with any JSON object of at most 16 KiB.
#[utoipa::path(
    put, path = "/api/ext/v1/me/preferences", operation_id = "setOwnPreferences", tag = "me", request_body = Preferences,
    responses((status = 200, description = "Stored."))
)]
pub(crate) async fn put(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<Preferences>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    own_user(&permit)?;
    let value = Value::Object(body.0).to_string();
    if value.len() > LARGEST {
        return Err(Error::BadRequest(format!(
            "preferences: must be at most {LARGEST} bytes of JSON"
        )));
    }
    let (kind, now) = (Kind::Preferences, app.clock.now());
    Ok(tenancy::preference::put(&app.db, &permit, kind, value, now).await?)
}
