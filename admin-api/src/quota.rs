//! Quotas of projects. A quota has the ID of its project.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use db::list::{Direction, Field, Test};
use db::project::{self, Project, Viewer};
use db::{Reader, quota};
use http::request::Parts;
use model::{AccountId, ProjectId, StorageLimit};
use serde::{Deserialize, Serialize};

use crate::caller::{By, permit_system};
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::{App, Error};

/// A quota as the API shows it.
#[derive(Serialize)]
pub(crate) struct View {
    creation_time: String,
    hard: Storage,
    id: ProjectId,
    #[serde(rename = "ref")]
    reference: Reference,
    update_time: String,
    used: Storage,
}

/// The project.
#[derive(Serialize)]
struct Reference {
    id: ProjectId,
    name: String,
    owner_name: String,
}

/// Bytes.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) storage: i64,
}

/// The body of `PUT /quotas/{id}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct QuotaRequest {
    hard: Option<Storage>,
}

impl BodyOf for QuotaRequest {
    const NAME: &'static str = "hard";
}

/// The quota in a path.
pub(crate) struct QuotaRef(ProjectId);

impl<S: Send + Sync> FromRequestParts<S> for QuotaRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "id")
            .await
            .map(|id| Self(ProjectId(id)))
    }
}

impl View {
    /// The quota of a project that uses `used` bytes.
    fn new(project: &Project, used: i64) -> Self {
        // Harbor shows no owner name for projects of the first administrator, who also owns Gantry's first project.
        let owner_name = match project.owner {
            AccountId::ADMIN => String::new(),
            _ => project.owner_name.clone(),
        };
        Self {
            creation_time: project.created_at.to_string(),
            hard: Storage {
                storage: project.storage_limit,
            },
            id: project.id,
            reference: Reference {
                id: project.id,
                name: project.name.to_string(),
                owner_name,
            },
            update_time: project.updated_at.to_string(),
            used: Storage { storage: used },
        }
    }
}

const NEWEST_FIRST: (Field, Direction) = (project::CREATED, Direction::Down);

/// `GET /quotas`
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    permit_system(&caller)?;
    let of_project = listing.params.int("reference_id")?.map(Test::Number);
    let mut selection = listing
        .select(&[project::CREATED])?
        .or(project::ID, of_project);
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let (projects, total) = project::list(&mut reader, Viewer::Administrator, &selection).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let used = quota::used_by(&mut reader, &ids).await?;
    let view = |project: &Project| {
        let used = used.get(&project.id).copied().unwrap_or_default();
        View::new(project, used)
    };
    let views: Vec<View> = projects.iter().map(view).collect();
    Ok(listing.answer(&views, total))
}

/// `GET /quotas/{id}`
pub(crate) async fn get(State(app): App, QuotaRef(id): QuotaRef, By(caller): By) -> Rendered<View> {
    permit_system(&caller)?;
    let mut tx = app.db.reader().await?;
    let project = find(&mut tx, id).await?;
    let used = quota::used(&mut tx, id).await?;
    Ok(Json(View::new(&project, used)))
}

async fn find(reader: &mut Reader, id: ProjectId) -> Result<Project, Error> {
    let found = project::by_id(reader, id).await?;
    found.ok_or_else(|| Error::NotFound(format!("quota {} not found", id.0)))
}

/// `PUT /quotas/{id}`: may be lower than the current usage.
pub(crate) async fn update(
    State(app): App,
    QuotaRef(id): QuotaRef,
    By(caller): By,
    body: Unread<QuotaRequest>,
) -> Result<(), Error> {
    let permit = permit_system(&caller)?;
    let body = body.read(&permit).await?;
    let hard = body.hard.ok_or_else(|| {
        Error::BadRequest("hard: must contain exactly storage, a number of bytes".to_owned())
    })?;
    let limit = StorageLimit::try_from(hard.storage)
        .map_err(|invalid| Error::BadRequest(invalid.to_string()))?;
    Ok(tenancy::quota::set(&app.db, &permit, id, limit, app.clock.now()).await?)
}
