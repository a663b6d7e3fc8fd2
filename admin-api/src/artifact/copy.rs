//! Copying artifacts between repositories.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::LOCATION;
use model::Address;
use policy::{on, to};
use registry::artifact::Source;

use crate::allowed::{Allowed, permitted};
use crate::param::{Named, ProjectByName, ProjectRef, RepositoryRef, Required};
use crate::{App, Error};

/// `from`, in a query string.
pub(crate) enum From {}

impl Named for From {
    const NAME: &'static str = "from";
    const DESCRIPTION: &'static str =
        "What is copied: `project/repository:tag` or `project/repository@digest`.";
}

/// Copies an artifact, with the manifests that it lists, its accessories and all its tags, into a repository. No bytes
/// are moved. Also needs `repository` push here, and `artifact` read and `repository` pull on the source: all roles
/// that have one of these have the other.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts",
    operation_id = "CopyArtifact", tag = "artifact",
    responses((status = 201, description = "Copied; `Location` leads there."))
)]
pub(crate) async fn copy(
    named: RepositoryRef,
    Allowed { permit, .. }: Allowed<on::Artifact, to::Create, ProjectByName>,
    from: Required<From>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    let missing = || Error::BadRequest(format!("artifact {} not found", from.text));
    let Address {
        repository,
        reference,
    } = from.text.parse().map_err(|_| missing())?;
    let project = ProjectRef::Name(repository.project());
    let (source, _) =
        permitted::<on::Artifact, to::Read>(&app.db, permit.caller(), &project).await?;
    // Copying needs the same rights as pulling and pushing.
    let (source, permit) = (source.and()?, permit.and()?);
    let source = Source {
        permit: &source,
        repository: &repository,
        reference: &reference,
    };
    let into = named
        .name()
        .map_err(|_| Error::BadRequest(format!("repository {named} is no valid name")))?;
    let copied = app.registry.copy_artifact(&permit, &into, source).await;
    copied.map_err(|error| match error {
        registry::Error::ManifestUnknown(_) => missing(),
        other => other.into(),
    })?;
    let location = format!("{}/artifacts/{reference}", super::path(&into));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}
