//! Erasing people.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use policy::SystemPermit;
use serde::Serialize;
use tenancy::user;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::param::UserRef;
use crate::{App, Error};

/// A person who was erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erased {
    /// What is shown instead of the name.
    pseudonym: String,
}

/// Replaces a person's name by a pseudonym wherever it is shown, and removes address, user agent, mail address and all
/// else that is known about the person. An existing user is deleted first; the ID may also be of a deleted one. A job
/// takes the name out of the audit log, whose chain can still be verified.
#[utoipa::path(
    post, path = "/api/ext/v1/users/{user_id}/erase", operation_id = "eraseUser", tag = "user",
    responses((status = 202, description = "Erased; the audit log follows within minutes.", body = Erased))
)]
pub(crate) async fn erase(
    UserRef(id): UserRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    let pseudonym = user::erase(&app.db, &permit, id, app.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(Erased { pseudonym })))
}
