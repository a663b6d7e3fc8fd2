//! Adding members.

use axum::extract::State;
use axum::response::IntoResponse;
use db::Reader;
use db::user::{self, User};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::UserId;
use policy::{on, to};
use serde::Deserialize;
use tenancy::member;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::member::check_role;
use crate::{App, Error};

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
    id: Option<i64>,
    group_name: Option<String>,
    ldap_group_dn: Option<String>,
}

impl BodyOf for AddMember {
    const NAME: &'static str = "project_member";
}

/// The new member.
enum Entity {
    Id(UserId),
    Name(String),
}

/// Makes a user a member of a project.
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
    let user = find(&mut app.db.reader().await?, &entity).await?;
    let (role, now) = (check_role(role_id)?, app.clock.now());
    let id = member::grant(&app.db, &permit, user.principal_id, role, now).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// If several are given, Harbor takes the user's ID first, then the group's, then names.
fn entity(body: AddMember) -> Result<Entity, Error> {
    let user = body.member_user.unwrap_or_default();
    let group = body.member_group.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(id) = user.user_id.filter(|id| *id != 0) {
        return Ok(Entity::Id(UserId(id)));
    }
    if let Some(id) = group.id.filter(|id| *id != 0) {
        return Err(Error::BadRequest(format!(
            "member_group: there is no group with ID {id}"
        )));
    }
    if let Some(name) = given(user.username) {
        return Ok(Entity::Name(name));
    }
    match given(group.ldap_group_dn).or(given(group.group_name)) {
        Some(name) => Err(Error::NotFound(format!("{name} not found: not supported"))),
        None => Err(Error::BadRequest(
            "at least one of member_user or member_group must be provided".to_owned(),
        )),
    }
}

async fn find(reader: &mut Reader, entity: &Entity) -> Result<User, Error> {
    match entity {
        Entity::Id(id) => user::by_id(reader, *id).await?.ok_or_else(|| {
            Error::BadRequest(format!("member_user: there is no user with ID {id}"))
        }),
        Entity::Name(name) => user::by_name(reader, name)
            .await?
            .ok_or_else(|| Error::NotFound(format!("user {name} is not found"))),
    }
}
