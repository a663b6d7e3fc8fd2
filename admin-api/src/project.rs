//! Projects.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod summary;
pub(crate) mod update;

use std::collections::BTreeMap;

use db::project::{self, Project};
use db::{Db, Reader};
use model::{AccountId, ProjectId};
use policy::{Action, Caller, ProjectPermit, Refusal, Resource, Role, permit};
use serde::Serialize;

use crate::Error;
use crate::param::ProjectRef;

/// A project in the API.
#[derive(Serialize)]
pub(crate) struct View {
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_user_role_id: Option<i64>,
    current_user_role_ids: Option<Vec<i64>>,
    cve_allowlist: Allowlist,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    name: String,
    owner_id: AccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    project_id: ProjectId,
    repo_count: i64,
    update_time: String,
}

/// The project's own exceptions from vulnerability rules: none can be added yet.
#[derive(Serialize)]
struct Allowlist {
    creation_time: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ProjectId>,
    items: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<ProjectId>,
    update_time: &'static str,
}

/// Harbor's value for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

impl Allowlist {
    const fn new(project: Option<ProjectId>) -> Self {
        Self {
            creation_time: NEVER,
            id: project,
            items: match project {
                Some(_) => Some([]),
                None => None,
            },
            project_id: project,
            update_time: NEVER,
        }
    }
}

impl View {
    /// The short form of the project, which lists return on request.
    fn brief(caller: &Caller, project: &Project) -> Self {
        let roles = role_ids(caller, project.id);
        Self {
            creation_time: project.created_at.to_string(),
            current_user_role_id: roles.first().copied(),
            current_user_role_ids: (!roles.is_empty()).then_some(roles),
            cve_allowlist: Allowlist::new(None),
            metadata: None,
            name: project.name.to_string(),
            owner_id: project.owner,
            owner_name: None,
            project_id: project.id,
            repo_count: project.repositories,
            update_time: project.updated_at.to_string(),
        }
    }

    /// The project with its settings and its owner's name.
    fn detailed(caller: &Caller, project: &Project, settings: BTreeMap<String, String>) -> Self {
        Self {
            cve_allowlist: Allowlist::new(Some(project.id)),
            metadata: Some(with_public(project.public, settings)),
            owner_name: Some(project.owner_name.clone()),
            ..Self::brief(caller, project)
        }
    }
}

/// The caller's roles, strongest first.
fn role_ids(caller: &Caller, project: ProjectId) -> Vec<i64> {
    let held = caller.bindings.roles_in(project);
    let strongest_first = Role::ALL.into_iter().filter(|role| held.contains(role));
    strongest_first.map(Role::id).collect()
}

/// All settings, `public` among them.
fn with_public(public: bool, mut settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.insert("public".to_owned(), public.to_string());
    settings
}

/// The project in a path, if the caller may do `action` on `resource` of it.
pub(crate) async fn permitted(
    db: &Db,
    caller: &Caller,
    named: &ProjectRef,
    resource: Resource,
    action: Action,
) -> Result<(ProjectPermit, Project), Error> {
    let found = find(&mut db.reader().await?, named).await?;
    let facts = found.as_ref().map(Project::facts);
    let permit = permit::permit_project(caller, facts.as_ref(), resource, action)
        .map_err(|refusal| refused(caller, named, refusal))?;
    let project = found.ok_or_else(|| missing(named))?;
    Ok((permit, project))
}

async fn find(reader: &mut Reader, named: &ProjectRef) -> Result<Option<Project>, db::Error> {
    match named {
        ProjectRef::Id(id) => project::by_id(reader, *id).await,
        ProjectRef::Name(name) => project::by_name(reader, name).await,
        ProjectRef::Nothing(_) => Ok(None),
    }
}

/// A system administrator is refused only if the project does not exist, and may know that.
fn refused(caller: &Caller, named: &ProjectRef, refusal: Refusal) -> Error {
    if caller.bindings.sysadmin {
        missing(named)
    } else {
        refusal.into()
    }
}

fn missing(named: &ProjectRef) -> Error {
    Error::NotFound(format!("project {named} not found"))
}
