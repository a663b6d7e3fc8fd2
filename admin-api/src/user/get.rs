//! One user.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use db::identity::{self, OIDC};
use db::oidc;
use http::header::CACHE_CONTROL;
use model::{PrincipalId, UserId};
use policy::{SignedIn, UserPermit};

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::user::{OidcUserInfo, User, find};
use crate::{AdminState, App, Error};

/// Returns a user.
#[utoipa::path(
    get, path = "/api/v2.0/users/{user_id}", operation_id = "getUser", tag = "user",
    responses((status = 200, description = "The user.", body = User))
)]
pub(crate) async fn get(Granted(permit): Granted<UserPermit>, State(app): App) -> Rendered<User> {
    Ok(Json(find(&app.db, permit.user()).await?.into()))
}

/// Returns the caller's own user, with the CLI secret for a user of the OIDC provider; 412 for a robot.
#[utoipa::path(
    get, path = "/api/v2.0/users/current", operation_id = "getCurrentUserInfo", tag = "user",
    responses((status = 200, description = "The user.", body = User))
)]
pub(crate) async fn current(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    let own = permit.caller().user();
    let own = own.ok_or_else(|| Error::Precondition("the caller is not a user".to_owned()))?;
    let mut user: User = find(&app.db, own).await?.into();
    user.oidc_user_meta = oidc_user_info(&app, permit.principal(), own).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(user)))
}

async fn oidc_user_info(
    app: &AdminState,
    principal: PrincipalId,
    own: UserId,
) -> Result<Option<OidcUserInfo>, Error> {
    let mut reader = app.db.reader().await?;
    let Some(known) = identity::of_principal(&mut reader, OIDC, principal).await? else {
        return Ok(None);
    };
    let account = oidc::account(&mut reader, principal).await?;
    Ok(account.map(|account| {
        let secret = app.identity.oidc().accounts().cli_secret(&account);
        let (issuer, subject) = known.subject.split_once(' ').unwrap_or_default();
        OidcUserInfo {
            id: own,
            user_id: own,
            subiss: format!("{subject}{issuer}"),
            secret: secret.map(|secret| secret.expose().to_owned()),
            creation_time: account.created_at.to_string(),
            update_time: account.updated_at.to_string(),
        }
    }))
}
