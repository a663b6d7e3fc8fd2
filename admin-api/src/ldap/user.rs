//! People of the directory.

use auth::ldap::FoundPerson;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use model::{Origin, PrincipalId};
use policy::{SystemPermit, system, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::caller::unidentified;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::param::Params;
use crate::{AdminState, App, Error};

/// Maximum people to import per request.
const MOST_IMPORTED: usize = 1_000;

/// A person of the directory.
#[derive(Serialize, ToSchema)]
pub(crate) struct LdapUser {
    username: String,
    realname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl From<FoundPerson> for LdapUser {
    fn from(person: FoundPerson) -> Self {
        Self {
            username: person.name().to_owned(),
            realname: person.realname,
            email: person.email,
        }
    }
}

/// Finds people of the directory by exact name, or all of them.
#[utoipa::path(
    get, path = "/api/v2.0/ldap/users/search", operation_id = "searchLdapUser", tag = "ldap",
    params(("username" = Option<String>, Query, description = "The name to sign in with; all people without it.")),
    responses(
        (status = 200, description = "The people.", body = Vec<LdapUser>),
        (status = 412, description = "No directory is configured."),
    )
)]
pub(crate) async fn search(
    params: Params,
    Granted(_): Granted<SystemPermit<(system::LdapUser, to::List)>>,
    State(app): App,
) -> Rendered<Vec<LdapUser>> {
    let server = app.identity.directory().server().await?;
    let name = params.text("username")?;
    let found = server.search_users(name, app.clock.now()).await?;
    Ok(Json(found.into_iter().map(LdapUser::from).collect()))
}

/// The body of `POST /ldap/users/import`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct LdapImportUsers {
    /// Names to sign in with.
    ldap_uid_list: Option<Vec<String>>,
}

impl BodyOf for LdapImportUsers {
    const NAME: &'static str = "uid_list";
}

/// A person who was not imported.
#[derive(Serialize, ToSchema)]
pub(crate) struct LdapFailedImportUser {
    uid: String,
    error: String,
}

/// Makes users for people of the directory before they sign in, so that they can be given roles.
#[utoipa::path(
    post, path = "/api/v2.0/ldap/users/import", operation_id = "importLdapUser", tag = "ldap",
    request_body = LdapImportUsers,
    responses(
        (status = 200, description = "All are users now."),
        (status = 404, description = "Those that are not, and why; the others are users now.", body = Vec<LdapFailedImportUser>),
        (status = 412, description = "No directory is configured."),
    )
)]
pub(crate) async fn import(
    Granted(permit): Granted<SystemPermit<(system::LdapUser, to::Create)>>,
    State(app): App,
    body: Unread<LdapImportUsers>,
) -> Result<Response, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let names = body.ldap_uid_list.unwrap_or_default();
    if names.len() > MOST_IMPORTED {
        return Err(Error::BadRequest(format!(
            "ldap_uid_list: at most {MOST_IMPORTED} people are imported at a time"
        )));
    }
    // So that an unreachable directory is one error, not one for each.
    app.identity.directory().server().await?;
    let mut failed = Vec::new();
    for uid in names {
        let error = match uid.trim() {
            "" => Some("empty_uid".to_owned()),
            name => match take_over(&app, name, permit.caller().origin()).await {
                Ok(Some(_)) => None,
                Ok(None) => Some("unknown_user".to_owned()),
                Err(error @ Error::Database(_)) => return Err(error),
                Err(Error::Directory(why)) => Some(format!("failed_search_user: {why}")),
                Err(error) => Some(error.to_string()),
            },
        };
        failed.extend(error.map(|error| LdapFailedImportUser { uid, error }));
    }
    Ok(match failed.is_empty() {
        true => StatusCode::OK.into_response(),
        false => (StatusCode::NOT_FOUND, Json(failed)).into_response(),
    })
}

/// The user for a person of the directory, made if there is none; `None` if the directory does not have them, or there
/// is no directory.
pub(crate) async fn take_over(
    app: &AdminState,
    name: &str,
    by: Origin,
) -> Result<Option<PrincipalId>, Error> {
    let directory = app.identity.directory();
    let Some(server) = directory.server_if_any().await? else {
        return Ok(None);
    };
    let Some(person) = server.find(name, app.clock.now()).await? else {
        return Ok(None);
    };
    match directory.admit(&server, person, by).await {
        Ok(admitted) => Ok(Some(admitted.principal)),
        Err(auth::Error::NotAdmitted(error)) => Err(error.into()),
        Err(auth::Error::Directory(error)) => Err(error.into()),
        Err(other) => Err(unidentified(other)),
    }
}
