//! The caller's favourite projects and repositories, by name. They may have been deleted or hidden since.

use axum::Json;
use axum::extract::State;
use db::preference::Kind;
use model::{ProjectName, RepositoryName};
use policy::SignedIn;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{kept, own_user};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// Maximum favourites of each kind.
const MOST: usize = 100;

/// Names, in display order.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct Favourites {
    projects: Vec<String>,
    /// Whole names, projects included.
    repositories: Vec<String>,
}

impl BodyOf for Favourites {
    const NAME: &'static str = "favourites";
}

impl Favourites {
    fn check(&self) -> Result<(), Error> {
        let is_project = |name: &String| name.parse::<ProjectName>().is_ok();
        let is_repository = |name: &String| name.parse::<RepositoryName>().is_ok();
        check("projects", &self.projects, is_project)?;
        check("repositories", &self.repositories, is_repository)
    }
}

fn check(field: &str, names: &[String], is_name: impl Fn(&String) -> bool) -> Result<(), Error> {
    if names.len() > MOST {
        return Err(Error::BadRequest(format!(
            "{field}: must be at most {MOST}"
        )));
    }
    match names.iter().find(|name| !is_name(name)) {
        Some(wrong) => Err(Error::BadRequest(format!("{field}: {wrong:?} is no name"))),
        None => Ok(()),
    }
}

/// Returns the caller's favourites; 412 for a robot.
#[utoipa::path(
    get, path = "/api/ext/v1/me/favourites", operation_id = "getOwnFavourites", tag = "me",
    responses(
        (status = 200, description = "The favourites.", body = Favourites),
        (status = 412, description = "The caller is not a user."),
    )
)]
pub(crate) async fn get(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Favourites> {
    Ok(Json(kept(&app.db, &permit, Kind::Favourites).await?))
}

/// Replaces the caller's favourites: at most 100 projects and 100 repositories.
#[utoipa::path(
    put, path = "/api/ext/v1/me/favourites", operation_id = "setOwnFavourites", tag = "me", request_body = Favourites,
    responses((status = 200, description = "Stored."))
)]
pub(crate) async fn put(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<Favourites>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    own_user(&permit)?;
    body.check()?;
    let value = serde_json::json!(body).to_string();
    let (kind, now) = (Kind::Favourites, app.clock.now());
    Ok(tenancy::preference::put(&app.db, &permit, kind, value, now).await?)
}
