//! Projects.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deleted;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod owner;
pub(crate) mod summary;
pub(crate) mod update;

use std::collections::BTreeMap;

use db::project::Project;
use model::{ProjectId, UserId};
use policy::{Role, Roles};
use serde::Serialize;
use utoipa::ToSchema;

use crate::project::metadata::Metadata;

/// A project in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct View {
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_user_role_id: Option<i64>,
    current_user_role_ids: Option<Vec<i64>>,
    cve_allowlist: Allowlist,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Metadata>)]
    metadata: Option<BTreeMap<String, String>>,
    name: String,
    #[schema(value_type = i64)]
    owner_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    repo_count: i64,
    update_time: String,
}

/// The project's own exceptions from vulnerability rules: none can be added yet.
#[derive(Serialize, ToSchema)]
struct Allowlist {
    creation_time: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    id: Option<ProjectId>,
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    project_id: Option<ProjectId>,
    update_time: &'static str,
}

/// Harbor's value for a time that never was.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00.000Z";

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
    fn brief(roles: Roles, project: &Project) -> Self {
        let roles: Vec<i64> = roles.iter().map(Role::id).collect();
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

    /// The project with its settings.
    pub(crate) fn with_settings(
        roles: Roles,
        project: &Project,
        settings: BTreeMap<String, String>,
    ) -> Self {
        Self {
            metadata: Some(with_public(project.public, settings)),
            ..Self::brief(roles, project)
        }
    }

    /// The project with its settings and its owner's name.
    fn detailed(roles: Roles, project: &Project, settings: BTreeMap<String, String>) -> Self {
        Self {
            cve_allowlist: Allowlist::new(Some(project.id)),
            owner_name: Some(project.owner_name.clone()),
            ..Self::with_settings(roles, project, settings)
        }
    }
}

/// All settings, `public` among them.
fn with_public(public: bool, mut settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.insert("public".to_owned(), public.to_string());
    settings
}
