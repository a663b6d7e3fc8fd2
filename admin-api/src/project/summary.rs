//! Counts and usage of a project, as far as the caller may see them.

use axum::Json;
use axum::extract::State;
use db::project::Project;
use db::{Reader, member};
use policy::{Action, Resource, Role, on, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Allowed;
use crate::error::Rendered;

/// The response of `GET …/summary`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    #[serde(skip_serializing_if = "is_zero")]
    developer_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    guest_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    limited_guest_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    maintainer_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    project_admin_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
    repo_count: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProjectQuota)]
struct Quota {
    hard: Storage,
    used: Storage,
}

/// Bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectStorage)]
struct Storage {
    storage: i64,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// Returns counts and quota of a project, as far as the caller may see them.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/summary", operation_id = "getProjectSummary", tag = "project",
    responses((status = 200, description = "The numbers.", body = Summary))
)]
pub(crate) async fn summary(
    Allowed {
        permit, project, ..
    }: Allowed<on::Project, to::Read>,
    State(app): App,
) -> Rendered<Summary> {
    let mut reader = app.db.reader().await?;
    let may = |resource: Resource, action| {
        let allowed = permit.standing().allowed(permit.caller(), resource);
        allowed.contains(action)
    };
    let quota = match may(Resource::Quota, Action::Read) {
        true => Some(quota(&mut reader, &project).await?),
        false => None,
    };
    let counts = match may(Resource::Member, Action::List) {
        true => member::count_by_role(&mut reader, project.id).await?,
        false => Vec::new(),
    };
    let count = |role| {
        let mut held = counts.iter().filter(|(held, _)| *held == role);
        held.next().map_or(0, |(_, count)| *count)
    };
    Ok(Json(Summary {
        developer_count: count(Role::Developer),
        guest_count: count(Role::Guest),
        limited_guest_count: count(Role::LimitedGuest),
        maintainer_count: count(Role::Maintainer),
        project_admin_count: count(Role::ProjectAdmin),
        quota,
        repo_count: project.repositories,
    }))
}

async fn quota(reader: &mut Reader, project: &Project) -> Result<Quota, db::Error> {
    let used = db::quota::used(reader, project.id).await?;
    let storage = |storage| Storage { storage };
    Ok(Quota {
        hard: storage(project.storage_limit),
        used: storage(used),
    })
}
