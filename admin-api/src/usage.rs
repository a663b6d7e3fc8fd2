//! Storage and use of projects and repositories.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::list::Direction;
use db::project::{self, Project, Viewer};
use db::usage::{self, ProjectUse, RepositoryUse};
use db::{member, quota, repository};
use model::{ProjectId, Timestamp};
use policy::{Action, Caller, Reach, Resource, SignedIn, on, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::{Allowed, Granted};
use crate::error::Rendered;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::project::list::{own, viewer};
use crate::{App, Error};

/// What a project holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectUsage {
    artifact_count: i64,
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    public: bool,
    pull_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_time: Option<String>,
    repo_count: i64,
    /// Bytes that it may hold; -1 for no limit.
    storage_limit: i64,
    /// Bytes that it holds, each blob counted once.
    storage_used: i64,
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

impl ProjectUsage {
    fn new(project: &Project, used: ProjectUse, bytes: i64) -> Self {
        Self {
            artifact_count: used.artifacts,
            name: project.name.to_string(),
            project_id: project.id,
            public: project.public,
            pull_count: used.pulls,
            pull_time: time(used.pulled_at),
            push_time: time(used.pushed_at),
            repo_count: project.repositories,
            storage_limit: project.storage_limit,
            storage_used: bytes,
        }
    }
}

/// Lists the projects whose quota the caller may read, with what they hold: those in which the caller has a role, and all
/// for a system administrator.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/usage", operation_id = "listProjectUsage", tag = "usage",
    responses((status = 200, description = "A page of projects.", body = Vec<ProjectUsage>))
)]
pub(crate) async fn projects(
    mut listing: Listing,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&project::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let viewer = readable(permit.caller());
    let (projects, total) = project::list(&mut reader, viewer, &selection).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let used = usage::of_projects(&mut reader, &ids).await?;
    let bytes: HashMap<ProjectId, i64> = quota::used_by(&mut reader, &ids).await?;
    let views = projects.iter().map(|project| {
        let used = used.get(&project.id).copied().unwrap_or_default();
        let bytes = bytes.get(&project.id).copied().unwrap_or_default();
        ProjectUsage::new(project, used, bytes)
    });
    Ok(listing.answer(&views.collect::<Vec<_>>(), total))
}

/// The projects whose quota a caller may read. Being public is not enough.
fn readable(caller: &Caller) -> Viewer {
    let Some(robot) = &caller.authority.own else {
        return own(viewer(caller));
    };
    match robot.permissions.reach(Resource::Quota, Action::Read) {
        Reach::Everywhere => Viewer::Administrator,
        Reach::Projects(ids) => Viewer::Only(ids),
    }
}

/// What a repository holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct RepositoryUsage {
    artifact_count: i64,
    blob_count: i64,
    /// Whether a count or the size covers only the first 10,000 rows.
    capped: bool,
    name: String,
    pull_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_time: Option<String>,
    push_time: String,
    /// Bytes of the blobs that it links, each counted once.
    size: i64,
    tag_count: i64,
    untagged_count: i64,
}

impl RepositoryUsage {
    fn new(repository: &repository::Repository, used: RepositoryUse) -> Self {
        let counts = [used.blobs, used.tags, used.untagged];
        Self {
            artifact_count: repository.artifacts,
            blob_count: used.blobs.min(usage::COUNTED),
            capped: counts.iter().any(|count| *count > usage::COUNTED),
            name: repository.name.to_string(),
            pull_count: repository.pulls,
            pull_time: time(used.pulled_at),
            push_time: repository.updated_at.to_string(),
            size: used.bytes,
            tag_count: used.tags.min(usage::COUNTED),
            untagged_count: used.untagged.min(usage::COUNTED),
        }
    }
}

/// Lists a project's repositories with what they hold, latest push first by default. Of each, at most 10,000 blobs,
/// tags and untagged artifacts are counted.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name}/repositories/usage", operation_id = "listRepositoryUsage", tag = "usage",
    responses((status = 200, description = "A page of repositories.", body = Vec<RepositoryUsage>))
)]
pub(crate) async fn repositories(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Repository, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&repository::FIELDS)?;
    let newest = (repository::UPDATED, Direction::Down);
    selection.order = selection.order.or(Some(newest));
    let mut reader = app.db.reader().await?;
    let found = repository::list(&mut reader, permit.project().id, &selection).await?;
    let (repositories, total) = found;
    let ids: Vec<_> = repositories.iter().map(|found| found.id).collect();
    let used = usage::of_repositories(&mut reader, &ids).await?;
    let views = repositories.iter().map(|found| {
        let used = used.get(&found.id).copied().unwrap_or_default();
        RepositoryUsage::new(found, used)
    });
    Ok(listing.answer(&views.collect::<Vec<_>>(), total))
}

/// Numbers about a project, as far as the caller may see them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectStats {
    artifact_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_count: Option<i64>,
    pull_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_time: Option<String>,
    repo_count: i64,
    /// Bytes that it may hold; -1 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_limit: Option<i64>,
    /// Bytes that open uploads have reserved, which count as held.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_reserved: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_used: Option<i64>,
}

/// Returns numbers about a project, as far as the caller may see them.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/stats", operation_id = "getProjectStats", tag = "usage",
    responses((status = 200, description = "The numbers.", body = ProjectStats))
)]
pub(crate) async fn project(
    Allowed {
        permit, project, ..
    }: Allowed<on::Project, to::Read>,
    State(app): App,
) -> Rendered<ProjectStats> {
    let may = |resource, action| {
        let allowed = permit.standing().allowed(permit.caller(), resource);
        allowed.contains(action)
    };
    let mut reader = app.db.reader().await?;
    let used = usage::of_projects(&mut reader, &[project.id]).await?;
    let used = used.get(&project.id).copied().unwrap_or_default();
    let storage = match may(Resource::Quota, Action::Read) {
        true => {
            let held = quota::used(&mut reader, project.id).await?;
            Some((held, quota::reserved(&mut reader, project.id).await?))
        }
        false => None,
    };
    let members = match may(Resource::Member, Action::List) {
        true => {
            let counts = member::count_by_role(&mut reader, project.id).await?;
            Some(counts.iter().map(|(_, count)| count).sum())
        }
        false => None,
    };
    Ok(Json(ProjectStats {
        artifact_count: used.artifacts,
        member_count: members,
        pull_count: used.pulls,
        pull_time: time(used.pulled_at),
        push_time: time(used.pushed_at),
        repo_count: project.repositories,
        storage_limit: storage.map(|_| project.storage_limit),
        storage_reserved: storage.map(|(_, reserved)| reserved),
        storage_used: storage.map(|(used, _)| used),
    }))
}
