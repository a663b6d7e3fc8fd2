//! The caller's overview: their own projects, and what was pushed there.

use axum::Json;
use axum::extract::State;
use db::list::{Direction, Page, Selection};
use db::project::{self, Project, Viewer};
use db::repository::{self, Repository};
use db::usage;
use model::ProjectId;
use policy::{Role, Roles, SignedIn};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::me::own_user;
use crate::project::list::roles;

/// Rows of each kind.
const FEW: Page = Page {
    offset: 0,
    limit: Some(10),
};

/// The answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Home {
    /// How many projects the caller has a role in.
    project_count: i64,
    /// The most recently changed of them.
    projects: Vec<HomeProject>,
    /// The repositories in the caller's projects with the latest pushes.
    repositories: Vec<HomeRepository>,
}

/// A project of the caller.
#[derive(Serialize, ToSchema)]
struct HomeProject {
    artifact_count: i64,
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    public: bool,
    pull_count: i64,
    repo_count: i64,
    roles: Vec<&'static str>,
    update_time: String,
}

impl HomeProject {
    fn new(project: &Project, used: usage::ProjectUse, roles: Roles) -> Self {
        Self {
            artifact_count: used.artifacts,
            name: project.name.to_string(),
            project_id: project.id,
            public: project.public,
            pull_count: used.pulls,
            repo_count: project.repositories,
            roles: roles.iter().map(Role::name).collect(),
            update_time: project.updated_at.to_string(),
        }
    }
}

/// A repository in a project of the caller.
#[derive(Serialize, ToSchema)]
struct HomeRepository {
    artifact_count: i64,
    name: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    pull_count: i64,
    update_time: String,
}

impl From<Repository> for HomeRepository {
    fn from(repository: Repository) -> Self {
        Self {
            artifact_count: repository.artifacts,
            name: repository.name.to_string(),
            project_id: repository.project,
            pull_count: repository.pulls,
            update_time: repository.updated_at.to_string(),
        }
    }
}

/// Returns the most recently changed projects in which the caller has a role, and repositories in them: 10 each.
#[utoipa::path(
    get, path = "/api/ext/v1/home", operation_id = "getHome", tag = "home",
    responses(
        (status = 200, description = "What is the caller's.", body = Home),
        (status = 412, description = "The caller is not a user."),
    )
)]
pub(crate) async fn get(Granted(permit): Granted<SignedIn>, State(app): App) -> Rendered<Home> {
    own_user(&permit)?;
    let newest = |field| Selection {
        order: Some((field, Direction::Down)),
        page: FEW,
        ..Selection::all()
    };
    let mut reader = app.db.reader().await?;
    let own = Viewer::Member(permit.principal());
    let asked = newest(project::UPDATED);
    let (projects, project_count) = project::list(&mut reader, own.clone(), &asked).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let used = usage::of_projects(&mut reader, &ids).await?;
    let roles = roles(&mut reader, permit.caller(), &ids).await?;
    let repositories = repository::page(&mut reader, own, &newest(repository::UPDATED)).await?;
    let projects = projects.iter().map(|project| {
        let used = used.get(&project.id).copied().unwrap_or_default();
        let roles = roles.get(&project.id).copied().unwrap_or_default();
        HomeProject::new(project, used, roles)
    });
    Ok(Json(Home {
        project_count,
        projects: projects.collect(),
        repositories: repositories.into_iter().map(HomeRepository::from).collect(),
    }))
}
