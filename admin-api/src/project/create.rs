//! Creating projects.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode, Uri};
use model::{ProjectName, StorageLimit};
use policy::{Caller, CreateProjectPermit};
use serde::Deserialize;
use tenancy::project::{self, NewProject};
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::param::header_flag;
use crate::project::metadata::Metadata;
use crate::{App, Error};

/// The body of `POST` and `PUT /projects`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ProjectRequest {
    project_name: Option<String>,
    public: Option<bool>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) cve_allowlist: Option<AllowlistRequest>,
    storage_limit: Option<i64>,
    registry_id: Option<i64>,
}

/// The part of a project's exceptions from vulnerability rules that is checked.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct AllowlistRequest {
    pub(crate) project_id: Option<i64>,
}

impl BodyOf for ProjectRequest {
    const NAME: &'static str = "project";
}

impl ProjectRequest {
    /// Validates the schema, before all other rules.
    pub(crate) fn check_schema(&self) -> Result<(), Error> {
        let name = self.project_name.as_deref().unwrap_or_default();
        if name.chars().count() > 255 {
            return Err(Error::Validation(
                "validation failure list:\nproject_name in body should be at most 255 chars long"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Creates a project, whose first admin is the caller. Only for system administrators if `project_creation_restriction`
/// is `adminonly`.
#[utoipa::path(
    post, path = "/api/v2.0/projects", operation_id = "createProject", tag = "project",
    params((
        "X-Resource-Name-In-Location" = Option<bool>, Header,
        description = "True for the project's name in `Location`.",
    )),
    request_body = ProjectRequest,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<CreateProjectPermit>,
    State(app): App,
    uri: Uri,
    headers: HeaderMap,
    body: Unread<ProjectRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    body.check_schema()?;
    let default_limit = app.settings.current().new_project_limit();
    let new = check(permit.caller(), body, default_limit)?;
    let name = new.name.clone();
    let id = project::create(&app.db, &permit, new, app.clock.now()).await?;
    let parent = uri.path().trim_end_matches('/');
    let location = if header_flag(&headers, "x-resource-name-in-location") {
        format!("{parent}/{name}")
    } else {
        format!("{parent}/{id}")
    };
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

fn check(
    caller: &Caller,
    body: ProjectRequest,
    default_limit: StorageLimit,
) -> Result<NewProject, Error> {
    check_registry(caller, body.registry_id)?;
    let name = check_name(&body.project_name.unwrap_or_default())?;
    let limit = check_limit(caller, body.storage_limit)?.unwrap_or(default_limit);
    let given = body.metadata.unwrap_or_default().check(None)?;
    Ok(NewProject {
        name,
        public: given.public.or(body.public).unwrap_or(false),
        limit,
        settings: given.settings,
    })
}

/// Proxy caches: there are no registries yet for which to create one.
fn check_registry(caller: &Caller, registry: Option<i64>) -> Result<(), Error> {
    match registry {
        None => Ok(()),
        Some(_) if !caller.is_sysadmin() => Err(Error::Forbidden(
            "Only system admin can create proxy cache project".to_owned(),
        )),
        Some(id) => Err(Error::BadRequest(format!(
            "registry_id: registry {id} does not exist"
        ))),
    }
}

pub(crate) fn check_name(text: &str) -> Result<ProjectName, Error> {
    if text.is_empty() || text.len() > 255 {
        return Err(Error::BadRequest(format!(
            "Project name {text} is illegal in length. (greater than 255 or less than 1)"
        )));
    }
    text.parse().map_err(|_| {
        Error::BadRequest(
            "project name is not in lower case or contains illegal characters".to_owned(),
        )
    })
}

/// Bytes that the project may hold. Only a system administrator's value counts; 0 means the default, which is `None`.
fn check_limit(caller: &Caller, asked: Option<i64>) -> Result<Option<StorageLimit>, Error> {
    match asked.filter(|_| caller.is_sysadmin()) {
        None | Some(0) => Ok(None),
        Some(bytes) => StorageLimit::try_from(bytes)
            .map(Some)
            .map_err(|reason| Error::BadRequest(format!("bad request: {reason}"))),
    }
}
