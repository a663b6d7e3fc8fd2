//! Repositories of projects: list, read, describe, delete.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;

use db::repository::Repository;
use model::{ProjectId, RepositoryId};
use serde::Serialize;
use utoipa::ToSchema;

/// A repository in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Repository)]
pub(crate) struct View {
    artifact_count: i64,
    creation_time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[schema(value_type = i64)]
    id: RepositoryId,
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    pull_count: i64,
    update_time: String,
}

impl From<Repository> for View {
    fn from(repository: Repository) -> Self {
        Self {
            artifact_count: repository.artifacts,
            creation_time: repository.created_at.to_string(),
            description: repository.description,
            id: repository.id,
            name: repository.name.to_string(),
            project_id: repository.project,
            pull_count: repository.pulls,
            update_time: repository.updated_at.to_string(),
        }
    }
}
