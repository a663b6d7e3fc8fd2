//! Which person of the OIDC provider an account belongs to.

use axum::extract::State;
use policy::SystemPermit;
use serde::Deserialize;
use tenancy::oidc::link;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::{App, Error};

/// The body of `PUT …/identity`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct UserIdentity {
    /// What the provider calls the person: the claim `sub`.
    subject: Option<String>,
}

impl BodyOf for UserIdentity {
    const NAME: &'static str = "identity";
}

/// Joins an account and a person of the OIDC provider: the account signs in there from now on, and its password is
/// removed. 409 if it belongs to a person already (`DELETE` first), or the person has another account.
#[utoipa::path(
    put, path = "/api/ext/v1/users/{user_id}/identity", operation_id = "joinUser", tag = "user",
    request_body = UserIdentity,
    responses((status = 200, description = "Joined."))
)]
pub(crate) async fn join(
    UserRef(id): UserRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
    body: Unread<UserIdentity>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let oidc = app.identity.oidc();
    let provider = oidc.provider()?;
    let issuer = provider.issuer().await?;
    let person = (id, &*issuer, &*body.subject.unwrap_or_default());
    Ok(link::join(oidc.accounts(), &permit, person, app.clock.now()).await?)
}

/// Parts an account from its person at the OIDC provider: its CLI secret, tokens and sessions end at once. It keeps its
/// name and roles, and can be joined with another person.
#[utoipa::path(
    delete, path = "/api/ext/v1/users/{user_id}/identity", operation_id = "unlinkUser", tag = "user",
    responses((status = 200, description = "Parted."))
)]
pub(crate) async fn unlink(
    UserRef(id): UserRef,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Result<(), Error> {
    Ok(link::unlink(&app.db, &permit, id, app.clock.now()).await?)
}
