//! Quotas of projects. A quota has the ID of its project.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use db::list::{Direction, Field, Test};
use db::project::{self, Project, Viewer};
use db::{Reader, quota};
use http::request::Parts;
use model::{ProjectId, StorageLimit, UserId};
use policy::{SystemPermit, system, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::{App, Error};

/// A quota as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
pub(crate) struct View {
    creation_time: String,
    hard: Storage,
    #[schema(value_type = i64)]
    id: ProjectId,
    #[serde(rename = "ref")]
    reference: Reference,
    update_time: String,
    used: Storage,
}

/// The project.
#[derive(Serialize, ToSchema)]
struct Reference {
    #[schema(value_type = i64)]
    id: ProjectId,
    name: String,
    owner_name: String,
}

/// Bytes.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) storage: i64,
}

/// The body of `PUT /quotas/{id}`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct QuotaRequest {
    hard: Option<Storage>,
}

impl BodyOf for QuotaRequest {
    const NAME: &'static str = "hard";
}

/// The quota in a path.
pub(crate) struct QuotaRef(ProjectId);

impl Input for QuotaRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("id", Type::Integer, "The project's ID.")]
    }
}

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
            UserId::ADMIN => String::new(),
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

/// Lists the quotas of all projects.
#[utoipa::path(
    get, path = "/api/v2.0/quotas", operation_id = "listQuotas", tag = "quota",
    params(("reference_id" = Option<i64>, Query, description = "The project's ID.")),
    responses((status = 200, description = "A page of quotas.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(_): Granted<SystemPermit<(system::Quota, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
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

/// Returns the quota of a project, whose ID it has.
#[utoipa::path(
    get, path = "/api/v2.0/quotas/{id}", operation_id = "getQuota", tag = "quota",
    responses((status = 200, description = "The quota.", body = View))
)]
pub(crate) async fn get(
    QuotaRef(id): QuotaRef,
    Granted(_): Granted<SystemPermit<(system::Quota, to::Read)>>,
    State(app): App,
) -> Rendered<View> {
    let mut tx = app.db.reader().await?;
    let project = find(&mut tx, id).await?;
    let used = quota::used(&mut tx, id).await?;
    Ok(Json(View::new(&project, used)))
}

async fn find(reader: &mut Reader, id: ProjectId) -> Result<Project, Error> {
    let found = project::by_id(reader, id).await?;
    found.ok_or_else(|| Error::NotFound(format!("quota {} not found", id.0)))
}

/// Sets how much a project may hold, which may be less than it holds.
#[utoipa::path(
    put, path = "/api/v2.0/quotas/{id}", operation_id = "updateQuota", tag = "quota",
    request_body = QuotaRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    QuotaRef(id): QuotaRef,
    Granted(permit): Granted<SystemPermit<(system::Quota, to::Update)>>,
    State(app): App,
    body: Unread<QuotaRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let hard = body.hard.ok_or_else(|| {
        Error::BadRequest("hard: must contain exactly storage, a number of bytes".to_owned())
    })?;
    let limit = StorageLimit::try_from(hard.storage)
        .map_err(|invalid| Error::BadRequest(invalid.to_string()))?;
    Ok(tenancy::quota::set(&app.db, &permit, id, limit, app.clock.now()).await?)
}
