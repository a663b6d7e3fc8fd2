//! Counts and usage of a project, as far as the caller may see them.

use axum::Json;
use axum::extract::State;
use db::project::Project;
use db::{Reader, member};
use policy::{Action, Caller, Resource, Role, permit};
use serde::Serialize;

use crate::App;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::ProjectRef;
use crate::project::permitted;

/// The response of `GET …/summary`.
#[derive(Serialize)]
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

#[derive(Serialize)]
struct Quota {
    hard: Storage,
    used: Storage,
}

/// Bytes.
#[derive(Serialize)]
struct Storage {
    storage: i64,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// `GET /projects/{project_name_or_id}/summary`
pub(crate) async fn summary(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
) -> Rendered<Summary> {
    let (_, project) = permitted(&app.db, &caller, &named, Resource::Project, Action::Read).await?;
    let mut tx = app.db.reader().await?;
    let quota = quota(&mut tx, &caller, &project).await?;
    let counts = counts(&mut tx, &caller, &project).await?;
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

async fn quota(
    reader: &mut Reader,
    caller: &Caller,
    project: &Project,
) -> Result<Option<Quota>, db::Error> {
    if !may(caller, project, Resource::Quota, Action::Read) {
        return Ok(None);
    }
    let used = db::quota::used(reader, project.id).await?;
    let storage = |storage| Storage { storage };
    Ok(Some(Quota {
        hard: storage(project.storage_limit),
        used: storage(used),
    }))
}

async fn counts(
    reader: &mut Reader,
    caller: &Caller,
    project: &Project,
) -> Result<Vec<(Role, i64)>, db::Error> {
    if !may(caller, project, Resource::Member, Action::List) {
        return Ok(Vec::new());
    }
    member::count_by_role(reader, project.id).await
}

fn may(caller: &Caller, project: &Project, resource: Resource, action: Action) -> bool {
    permit::permit_project(caller, Some(&project.facts()), resource, action).is_ok()
}
