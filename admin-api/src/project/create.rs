//! Creating projects.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use db::project;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode, Uri};
use model::{AccountId, ProjectId, ProjectName};
use policy::{Caller, CreateProjectPermit};
use serde::Deserialize;

use crate::caller::{By, permit_create_project};
use crate::json::{BodyOf, Unread};
use crate::param::header_flag;
use crate::project::metadata::{Metadata, Settings};
use crate::project::note;
use crate::storage_limit::{UNLIMITED, check_quota};
use crate::{AdminState, App, Error};

/// The body of `POST` and `PUT /projects`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProjectRequest {
    project_name: Option<String>,
    public: Option<bool>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) cve_allowlist: Option<AllowlistRequest>,
    storage_limit: Option<i64>,
    registry_id: Option<i64>,
}

/// The part of a project's exceptions from vulnerability rules that is checked.
#[derive(Default, Deserialize)]
#[serde(default)]
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

/// A valid new project.
struct NewProject {
    name: ProjectName,
    owner: AccountId,
    public: bool,
    storage_limit: i64,
    settings: Settings,
}

/// `POST /projects`: the caller becomes the project's first admin.
pub(crate) async fn create(
    State(app): App,
    By(caller): By,
    uri: Uri,
    headers: HeaderMap,
    body: Unread<ProjectRequest>,
) -> Result<impl IntoResponse, Error> {
    let permit = permit_create_project(&caller, app.project_creation)?;
    let body = body.read(&permit).await?;
    body.check_schema()?;
    let new = check(&caller, permit.owner(), body)?;
    let name = new.name.clone();
    let id = store(&app, permit, new).await?;
    let parent = uri.path().trim_end_matches('/');
    let location = if header_flag(&headers, "x-resource-name-in-location") {
        format!("{parent}/{name}")
    } else {
        format!("{parent}/{id}")
    };
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

fn check(caller: &Caller, owner: AccountId, body: ProjectRequest) -> Result<NewProject, Error> {
    check_registry(caller, body.registry_id)?;
    let name = check_name(&body.project_name.unwrap_or_default())?;
    let storage_limit = check_limit(caller, body.storage_limit)?;
    let settings = body.metadata.unwrap_or_default().check(None)?;
    Ok(NewProject {
        name,
        owner,
        public: settings.public.or(body.public).unwrap_or(false),
        storage_limit,
        settings,
    })
}

/// Proxy caches: there are no registries yet for which to create one.
fn check_registry(caller: &Caller, registry: Option<i64>) -> Result<(), Error> {
    match registry {
        None => Ok(()),
        Some(_) if !caller.bindings.sysadmin => Err(Error::Forbidden(
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

/// The project's quota in bytes. Only a system administrator's value counts; 0 means the default.
fn check_limit(caller: &Caller, asked: Option<i64>) -> Result<i64, Error> {
    match asked.filter(|_| caller.bindings.sysadmin) {
        None | Some(0) => Ok(UNLIMITED),
        Some(bytes) => {
            check_quota(bytes).map_err(|reason| Error::BadRequest(format!("bad request: {reason}")))
        }
    }
}

async fn store(
    app: &Arc<AdminState>,
    permit: CreateProjectPermit,
    new: NewProject,
) -> Result<ProjectId, Error> {
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let name = new.name.as_str();
                let id =
                    project::create(tx, &new.name, new.owner, new.public, new.storage_limit, now)
                        .await
                        .map_err(|error| taken(name, error))?;
                for (key, value) in &new.settings.others {
                    project::set_metadata(tx, id, key, value).await?;
                }
                let detail = format!("public={}", new.public);
                note(tx, permit.caller(), "create", (id, name), detail, now).await?;
                Ok(id)
            })
        })
        .await
}

fn taken(name: &str, error: db::Error) -> Error {
    match error {
        db::Error::Duplicate(_) => {
            Error::Conflict(format!("The project named {name} already exists"))
        }
        other => other.into(),
    }
}
