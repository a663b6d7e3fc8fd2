//! Artifacts of a repository, and of all repositories of a project.

use axum::extract::State;
use axum::response::Response;
use db::artifact::Latest;
use db::list::{Direction, Field, Selection};
use db::{artifact, repository};
use policy::{on, to};

use crate::allowed::Allowed;
use crate::artifact::{View, With, views};
use crate::listing::Listing;
use crate::param::{ProjectByName, RepositoryRef};
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (artifact::PUSHED, Direction::Down);

/// Lists a repository's artifacts, newest first by default: those that have a tag or are in no index, but no
/// accessories. A repository that does not exist has none.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts",
    operation_id = "listArtifacts", tag = "artifact",
    params(
        ("with_tag" = Option<bool>, Query, description = "False to leave tags out."),
        ("with_label" = Option<bool>, Query, description = "True to have labels."),
        ("with_accessory" = Option<bool>, Query, description = "True to have accessories."),
        ("with_immutable_status" = Option<bool>, Query, description = "True to say which tags are immutable."),
        ("with_scan_overview" = Option<bool>, Query, description = "There are no scans yet."),
        ("with_sbom_overview" = Option<bool>, Query, description = "There are no scans yet."),
    ),
    responses((status = 200, description = "A page of artifacts.", body = Vec<View>))
)]
pub(crate) async fn list(
    named: RepositoryRef,
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Artifact, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&artifact::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let nothing = |listing: Listing| listing.answer::<View>(&[], 0);
    let Ok(name) = named.name() else {
        return Ok(nothing(listing));
    };
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let id = repository::published_in(&mut reader, project, &name).await?;
    let Some(id) = id else {
        return Ok(nothing(listing));
    };
    let (artifacts, total) = artifact::list(&mut reader, id, &selection).await?;
    drop(reader);
    let (of, with) = ((project, artifacts), With::parse(&listing.params));
    let views = views(&app, &mut listing.room, of, with).await?;
    Ok(listing.answer(&views, total))
}

/// Lists the artifacts of all repositories of a project, newest first by default.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/artifacts", operation_id = "listArtifactsOfProject", tag = "project",
    params(
        ("with_tag" = Option<bool>, Query, description = "False to leave tags out."),
        ("with_label" = Option<bool>, Query, description = "True to have labels."),
        ("with_accessory" = Option<bool>, Query, description = "True to have accessories."),
        ("with_immutable_status" = Option<bool>, Query, description = "True to say which tags are immutable."),
        ("with_scan_overview" = Option<bool>, Query, description = "There are no scans yet."),
        ("with_sbom_overview" = Option<bool>, Query, description = "There are no scans yet."),
        ("latest_in_repository" = Option<bool>, Query,
            description = "True for the last one of each repository; `q` must then name either `media_type` or `artifact_type`."),
    ),
    responses((status = 200, description = "A page of artifacts.", body = Vec<View>))
)]
pub(crate) async fn list_in_project(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Artifact, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&artifact::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let latest = match listing.params.flag("latest_in_repository") {
        Some(true) => latest(&selection)?,
        _ => Latest::All,
    };
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::list_in_project(&mut reader, project, latest, &selection);
    let (artifacts, total) = found.await?;
    drop(reader);
    let (of, with) = ((project, artifacts), With::parse(&listing.params));
    let views = views(&app, &mut listing.room, of, with).await?;
    Ok(listing.answer(&views, total))
}

fn latest(selection: &Selection) -> Result<Latest, Error> {
    let asks = |field| selection.tests.iter().any(|(asked, _)| *asked == field);
    match (asks(artifact::MEDIA_TYPE), asks(artifact::ARTIFACT_TYPE)) {
        (true, false) => Ok(Latest::ByMediaType),
        (false, true) => Ok(Latest::ByArtifactType),
        _ => Err(Error::BadRequest(
            "latest_in_repository needs either media_type or artifact_type in q".to_owned(),
        )),
    }
}
