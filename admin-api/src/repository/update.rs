//! Describing repositories.

use axum::extract::State;
use policy::{on, to};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::param::{ProjectByName, RepositoryRef};
use crate::{App, Error};

/// Maximum length of a description, in bytes.
const LONGEST: usize = 64 << 10;

/// The body of `PUT …/repositories/{repository_name}`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RepositoryRequest {
    /// Markdown; absent for none.
    description: Option<String>,
}

impl BodyOf for RepositoryRequest {
    const NAME: &'static str = "repository";
}

/// Sets a repository's description; nothing else of it changes.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}", operation_id = "updateRepository", tag = "repository",
    request_body = RepositoryRequest,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    named: RepositoryRef,
    Allowed { permit, .. }: Allowed<on::Repository, to::Update, ProjectByName>,
    State(app): App,
    body: Unread<RepositoryRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let description = body.description.unwrap_or_default();
    if description.len() > LONGEST {
        return Err(Error::BadRequest(format!(
            "description has more than {LONGEST} bytes"
        )));
    }
    let (name, now) = (named.name()?, app.clock.now());
    let described = registry::repository::describe(&app.db, &permit, &name, description, now);
    if described.await? {
        Ok(())
    } else {
        Err(named.missing())
    }
}
