//! Additions of an artifact, shown on request.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::artifact::{self, Artifact};
use http::header::CONTENT_TYPE;
use model::Addition;
use model::artifact::is_index;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::param::ProjectByName;
use crate::param::content::{AdditionName, ArtifactRef};
use crate::{App, Error};

/// Returns an addition of an artifact: the history of an image, or a file of a chart or model.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/additions/{addition}",
    operation_id = "getAddition", tag = "artifact",
    responses((status = 200, description = "The addition, as JSON or text.", body = String, content_type = "application/json"))
)]
pub(crate) async fn get(
    named: ArtifactRef,
    AdditionName(name): AdditionName,
    Allowed { permit, .. }: Allowed<on::ArtifactAddition, to::Read, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let (repository, reference) = named.names()?;
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::find(&mut reader, project, &repository, &reference).await?;
    drop(reader);
    let artifact = found.ok_or_else(|| named.missing())?;
    let addition = supported(&artifact, &name)?;
    let added = app.registry.addition(&artifact, addition).await?;
    Ok(([(CONTENT_TYPE, added.content_type)], added.body).into_response())
}

/// The addition with a name, if artifacts of the type have it.
fn supported(artifact: &Artifact, name: &str) -> Result<Addition, Error> {
    let is_index = is_index(&artifact.media_type);
    let addition = Addition::from_name(name);
    let supported = Addition::of(&artifact.kind, is_index);
    addition
        .filter(|addition| supported.contains(addition))
        .ok_or_else(|| {
            let form = if is_index {
                "index"
            } else {
                "manifest version 2"
            };
            Error::BadRequest(format!(
                "addition {} isn't supported for {}({form})",
                name.to_uppercase(),
                artifact.kind
            ))
        })
}
