//! Adding members.

use axum::extract::State;
use axum::response::IntoResponse;
use db::group::Group;
use db::{group, user};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::{Dn, GroupId, GroupSource, PrincipalId, UserId};
use policy::{Caller, on, to};
use serde::Deserialize;
use tenancy::directory;
use tenancy::group::NewGroup;
use tenancy::member;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::group::{NO_SUCH_TYPE, check_name};
use crate::json::{BodyOf, Unread};
use crate::member::check_role;
use crate::{AdminState, App, Error, ldap};

/// The body of `POST …/members`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct AddMember {
    role_id: Option<i64>,
    member_user: Option<UserEntity>,
    member_group: Option<UserGroup>,
}

#[derive(Default, Deserialize, ToSchema)]
struct UserEntity {
    user_id: Option<i64>,
    username: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
struct UserGroup {
    group_name: Option<String>,
    /// 1 for LDAP, 2 for an authenticating proxy, 3 for OIDC.
    group_type: Option<i64>,
    id: Option<i64>,
    ldap_group_dn: Option<String>,
}

impl BodyOf for AddMember {
    const NAME: &'static str = "project_member";
}

/// The new member.
enum Entity {
    User(UserId),
    UserNamed(String),
    Group(GroupId),
    GroupOfEntry(String),
    GroupNamed(NewGroup),
}

/// Makes a user or a group a member of a project. An unknown group is created: for an OIDC provider or an
/// authenticating proxy by its name, for the directory if it exists there. So is a user who exists in the directory.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name_or_id}/members", operation_id = "createProjectMember", tag = "member",
    request_body = AddMember,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Allowed { permit, .. }: Allowed<on::Member, to::Create>,
    State(app): App,
    uri: Uri,
    body: Unread<AddMember>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let (role_id, entity) = (body.role_id, entity(body)?);
    let now = app.clock.now();
    let found = find(&app, permit.caller(), entity).await?;
    let id = match found {
        Found::Principal(principal) => {
            let role = check_role(role_id)?;
            member::grant(&app.db, &permit, principal, role, now).await?
        }
        Found::NewGroup(group) => {
            let role = check_role(role_id)?;
            member::grant_group(&app.db, &permit, group, role, now).await?
        }
    };
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// If several are given, Harbor takes the user's ID first, then the group's, then names.
fn entity(body: AddMember) -> Result<Entity, Error> {
    let user = body.member_user.unwrap_or_default();
    let group = body.member_group.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(id) = user.user_id.filter(|id| *id != 0) {
        return Ok(Entity::User(UserId(id)));
    }
    if let Some(id) = group.id.filter(|id| *id != 0) {
        return Ok(Entity::Group(GroupId(id)));
    }
    if let Some(name) = given(user.username) {
        return Ok(Entity::UserNamed(name));
    }
    if let Some(dn) = given(group.ldap_group_dn) {
        return Ok(Entity::GroupOfEntry(dn));
    }
    match given(group.group_name) {
        Some(name) => named_group(name, group.group_type),
        None => Err(Error::BadRequest(
            "at least one of member_user or member_group must be provided".to_owned(),
        )),
    }
}

fn named_group(name: String, source: Option<i64>) -> Result<Entity, Error> {
    match source.and_then(GroupSource::from_id) {
        // Only groups in the directory can be used.
        Some(GroupSource::Ldap) => Ok(Entity::GroupOfEntry(name)),
        Some(source) => Ok(Entity::GroupNamed(NewGroup {
            name: check_name(&name)?,
            source,
            entry: None,
        })),
        None => Err(Error::BadRequest(NO_SUCH_TYPE.to_owned())),
    }
}

/// The new member, as found.
enum Found {
    Principal(PrincipalId),
    /// A group that may have to be created.
    NewGroup(NewGroup),
}

/// No database connection is held while the directory is asked.
async fn find(app: &AdminState, caller: &Caller, entity: Entity) -> Result<Found, Error> {
    let principal = match entity {
        Entity::User(id) => {
            let found = user::by_id(&mut app.db.reader().await?, id).await?;
            found.map(|user| user.principal_id).ok_or_else(|| {
                Error::BadRequest(format!("member_user: there is no user with ID {id}"))
            })?
        }
        Entity::UserNamed(name) => {
            let found = user::by_name(&mut app.db.reader().await?, &name).await?;
            match found {
                Some(user) => user.principal_id,
                None => ldap::user::take_over(app, &name, caller.origin())
                    .await?
                    .ok_or_else(|| Error::NotFound(format!("user {name} is not found")))?,
            }
        }
        Entity::Group(id) => {
            let found = group::by_id(&mut app.db.reader().await?, id).await?;
            found.map(|group| group.principal_id).ok_or_else(|| {
                Error::BadRequest(format!("member_group: there is no group with ID {id}"))
            })?
        }
        Entity::GroupOfEntry(text) => {
            let found = group_of_entry(app, &text).await?;
            return found.ok_or_else(|| {
                Error::NotFound(format!(
                    "{text} not found: neither here nor in the directory"
                ))
            });
        }
        Entity::GroupNamed(group) => return Ok(Found::NewGroup(group)),
    };
    Ok(Found::Principal(principal))
}

/// A group of the directory by its entry or its name; it has to be created if it exists only in the directory.
async fn group_of_entry(app: &AdminState, text: &str) -> Result<Option<Found>, Error> {
    let entry = text.parse::<Dn>().ok();
    if let Some(known) = known_group(app, entry.as_ref(), text).await? {
        return Ok(Some(Found::Principal(known.principal_id)));
    }
    let found = match &entry {
        Some(entry) => ldap::group::at(app, entry).await?,
        None => ldap::group::named(app, text).await?,
    };
    let Some(found) = found else {
        return Ok(None);
    };
    let mut reader = app.db.reader().await?;
    // It was found by a name that only the directory has.
    if let Some(known) = group::by_entry(&mut reader, &found.entry).await? {
        return Ok(Some(Found::Principal(known.principal_id)));
    }
    let new = directory::new_group(&mut reader, &found).await?;
    Ok(Some(Found::NewGroup(new)))
}

/// The existing group from the directory with an entry or a name.
async fn known_group(
    app: &AdminState,
    entry: Option<&Dn>,
    name: &str,
) -> Result<Option<Group>, Error> {
    let mut reader = app.db.reader().await?;
    let known = match entry {
        Some(entry) => group::by_entry(&mut reader, entry).await?,
        None => group::by_name(&mut reader, name).await?,
    };
    Ok(known.filter(|group| group.source == GroupSource::Ldap))
}
