//! Finding projects and repositories by a part of their names.

use std::collections::HashSet;

use axum::extract::State;
use axum::{Extension, Json};
use db::list::{Page, Selection, Test};
use db::project::{self, Project};
use db::repository::{self, Repository};
use model::ProjectId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::By;
use crate::param::{Named, Required};
use crate::project::View;
use crate::project::list::{repository_viewer, roles, viewer};
use crate::room::{HeldRoom, Room};
use crate::{App, Error};

/// The response of `GET /search`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Search {
    project: Vec<View>,
    repository: Vec<SearchRepository>,
}

/// A found repository.
#[derive(Serialize, ToSchema)]
struct SearchRepository {
    #[serde(skip_serializing_if = "is_zero")]
    artifact_count: i64,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    project_name: String,
    project_public: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pull_count: i64,
    repository_name: String,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl SearchRepository {
    fn new(repository: &Repository, public: &HashSet<ProjectId>) -> Self {
        Self {
            artifact_count: repository.artifacts,
            project_id: repository.project,
            project_name: repository.name.project_str().to_owned(),
            project_public: public.contains(&repository.project),
            pull_count: repository.pulls,
            repository_name: repository.name.to_string(),
        }
    }
}

/// `q`, in a search.
pub(crate) enum Part {}

impl Named for Part {
    const NAME: &'static str = "q";
    const DESCRIPTION: &'static str = "Part of the name.";
}

/// Maximum projects, and repositories, to find.
const MOST_EACH: usize = 1_000;
const MOST: Page = Page {
    offset: 0,
    limit: Some(MOST_EACH as i64),
};

/// Finds projects and repositories that the caller may see, at most 1,000 each, by a part of their names.
#[utoipa::path(
    get, path = "/api/v2.0/search", operation_id = "search", tag = "search",
    responses((status = 200, description = "What was found, by name.", body = Search))
)]
pub(crate) async fn search(
    part: Required<Part>,
    _: Everyone,
    By(caller): By,
    State(app): App,
) -> Result<(Extension<HeldRoom>, Json<Search>), Error> {
    let mut room = Room::for_rows(&app, &caller, 2 * MOST_EACH).await?;
    let mut reader = app.db.reader().await?;
    let named = |field| Selection {
        page: MOST,
        ..Selection::all().with(field, Test::Contains(part.text.clone()))
    };
    let by_name = named(project::NAME);
    let projects = project::page(&mut reader, viewer(&caller), &by_name).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let roles = roles(&mut reader, &caller, &ids).await?;
    let mut settings = project::metadata_of(&mut reader, &ids).await?;
    let view = |project: &Project| {
        let roles = roles.get(&project.id).copied().unwrap_or_default();
        let settings = settings.remove(&project.id).unwrap_or_default();
        View::with_settings(roles, project, settings)
    };
    let project = projects.iter().map(view).collect();
    let by_name = named(repository::NAME);
    let found = repository::page(&mut reader, repository_viewer(&caller), &by_name).await?;
    room.texts(found.iter().map(|found| found.description.len()).sum())?;
    let ids: Vec<ProjectId> = found.iter().map(|found| found.project).collect();
    let public = project::public_among(&mut reader, &ids).await?;
    let found = found.iter();
    let repository = found.map(|found| SearchRepository::new(found, &public));
    let found = Search {
        project,
        repository: repository.collect(),
    };
    Ok((room.held(), Json(found)))
}
