//! Giving artifacts tags.

use axum::extract::State;
use http::StatusCode;
use policy::{on, to};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::param::ProjectByName;
use crate::param::content::ArtifactRef;
use crate::{App, Error};

/// The body of `POST …/tags`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct NewTag {
    name: Option<String>,
}

impl BodyOf for NewTag {
    const NAME: &'static str = "tag";
}

/// Gives an artifact one more tag; an existing tag of the repository is not moved.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags",
    operation_id = "createTag", tag = "artifact", request_body = NewTag,
    responses((status = 201, description = "Created."))
)]
pub(crate) async fn create(
    named: ArtifactRef,
    Allowed { permit, .. }: Allowed<on::Tag, to::Create, ProjectByName>,
    State(app): App,
    body: Unread<NewTag>,
) -> Result<StatusCode, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let name = body.name.filter(|name| !name.is_empty()).ok_or_else(|| {
        Error::Validation("validation failure list:\nname in body is required".to_owned())
    })?;
    let tag = name
        .parse()
        .map_err(|_| Error::BadRequest(format!("bad request: invalid tag name: {name}")))?;
    let (repository, reference) = named.names()?;
    let created = app
        .registry
        .create_tag(&permit, &repository, (&reference, &tag));
    created.await?;
    Ok(StatusCode::CREATED)
}
