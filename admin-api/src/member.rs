//! Members of projects: users, and groups of users.

pub(crate) mod create;
pub(crate) mod expected;
pub(crate) mod get;
pub(crate) mod update;

use db::Reader;
use db::member::{self, Entity, Member};
use model::{MemberId, ProjectId};
use policy::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;

/// A membership in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectMember)]
pub(crate) struct View {
    entity_id: i64,
    entity_name: String,
    /// `u` for users, `g` for groups.
    entity_type: &'static str,
    #[schema(value_type = i64)]
    id: MemberId,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    role_id: i64,
    role_name: &'static str,
}

impl TryFrom<Member> for View {
    type Error = Error;

    fn try_from(member: Member) -> Result<Self, Error> {
        let (entity_id, entity_type) = match member.entity()? {
            Entity::User(id) => (id.0, "u"),
            Entity::Group(id) => (id.0, "g"),
        };
        Ok(Self {
            entity_id,
            entity_name: member.name,
            entity_type,
            id: member.id,
            project_id: member.project,
            role_id: member.role.id(),
            role_name: member.role.name(),
        })
    }
}

async fn find(reader: &mut Reader, project: ProjectId, id: MemberId) -> Result<Member, Error> {
    let member = member::get(reader, project, id).await?;
    member.ok_or_else(|| {
        Error::NotFound(format!(
            "the project member is not found, project id {project}, member id {id}"
        ))
    })
}

/// The role of an ID. The message is Harbor's, though there are five roles.
fn check_role(id: Option<i64>) -> Result<Role, Error> {
    id.and_then(Role::from_id).ok_or_else(|| {
        Error::BadRequest("Failed to update project member, role is not in 1,2,3".to_owned())
    })
}
