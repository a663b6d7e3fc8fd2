//! Making, renaming and deleting groups.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::{Dn, GroupSource};
use policy::{SystemPermit, system, to};
use serde::Deserialize;
use tenancy::directory;
use tenancy::group::{self, NewGroup};
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::group::{NO_SUCH_TYPE, check_name};
use crate::json::{BodyOf, Unread};
use crate::param::GroupRef;
use crate::{AdminState, App, Error, ldap};

/// The body of `POST` and `PUT /usergroups`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct GroupRequest {
    group_name: Option<String>,
    /// 1 for LDAP, 2 for an authenticating proxy, 3 for OIDC.
    group_type: Option<i64>,
    /// The entry in the directory, for LDAP.
    ldap_group_dn: Option<String>,
}

impl BodyOf for GroupRequest {
    const NAME: &'static str = "usergroup";
}

/// Makes a group.
#[utoipa::path(
    post, path = "/api/v2.0/usergroups", operation_id = "createUserGroup", tag = "usergroup",
    request_body = GroupRequest,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SystemPermit<(system::Group, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<GroupRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let new = check(&app, body).await?;
    let id = group::create(&app.db, &permit, new, app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Maximum characters of an entry to repeat in a message.
const SHOWN: usize = 1_024;

/// The group described by a body.
async fn check(app: &AdminState, body: GroupRequest) -> Result<NewGroup, Error> {
    let source = body.group_type.and_then(GroupSource::from_id);
    let source = source.ok_or_else(|| Error::BadRequest(NO_SUCH_TYPE.to_owned()))?;
    let dn = body.ldap_group_dn.unwrap_or_default();
    let name = body.group_name.unwrap_or_default();
    match source {
        GroupSource::Ldap => return from_directory(app, &name, &dn).await,
        GroupSource::Http | GroupSource::Oidc if !dn.is_empty() => {
            return Err(Error::BadRequest(
                "ldap_group_dn: is for group_type 1 (LDAP) alone".to_owned(),
            ));
        }
        GroupSource::Http | GroupSource::Oidc => {}
    }
    Ok(NewGroup {
        name: check_name(&name)?,
        source,
        entry: None,
    })
}

/// A group of the directory, where it must exist. Without a name it gets the directory's.
async fn from_directory(app: &AdminState, name: &str, dn: &str) -> Result<NewGroup, Error> {
    let found = match dn.parse::<Dn>() {
        Ok(entry) => ldap::group::at(app, &entry).await?,
        Err(_) => None,
    };
    let found = found.ok_or_else(|| {
        let shown: String = dn.chars().take(SHOWN).collect();
        Error::BadRequest(format!("LDAP Group DN is not found: DN:{shown}"))
    })?;
    if name.is_empty() {
        let mut reader = app.db.reader().await?;
        return Ok(directory::new_group(&mut reader, &found).await?);
    }
    Ok(NewGroup {
        name: check_name(name)?,
        source: GroupSource::Ldap,
        entry: Some(found.entry),
    })
}

/// Gives a group another name; nothing else of it changes.
#[utoipa::path(
    put, path = "/api/v2.0/usergroups/{group_id}", operation_id = "updateUserGroup", tag = "usergroup",
    request_body = GroupRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn rename(
    GroupRef(id): GroupRef,
    Granted(permit): Granted<SystemPermit<(system::Group, to::Update)>>,
    State(app): App,
    body: Unread<GroupRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let name = check_name(&body.group_name.unwrap_or_default())?;
    Ok(group::rename(&app.db, &permit, (id, name), app.clock.now()).await?)
}

/// Deletes a group: its members lose the roles that it has.
#[utoipa::path(
    delete, path = "/api/v2.0/usergroups/{group_id}", operation_id = "deleteUserGroup", tag = "usergroup",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    GroupRef(id): GroupRef,
    Granted(permit): Granted<SystemPermit<(system::Group, to::Delete)>>,
    State(app): App,
) -> Result<(), Error> {
    Ok(group::delete(&app.db, &permit, id, app.clock.now()).await?)
}
