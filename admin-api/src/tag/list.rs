//! The tags of an artifact.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::Response;
use db::list::{Direction, Field};
use db::{artifact, tag::listing};
use policy::{on, to};

use crate::allowed::Allowed;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::param::content::ArtifactRef;
use crate::tag::{View, immutable_among};
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (listing::PUSHED, Direction::Down);

/// Lists the tags of an artifact, newest first by default.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags",
    operation_id = "listTags", tag = "artifact",
    params(("with_immutable_status" = Option<bool>, Query, description = "True to say which tags are immutable.")),
    responses((status = 200, description = "A page of tags.", body = Vec<View>))
)]
pub(crate) async fn list(
    named: ArtifactRef,
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Tag, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let (repository, reference) = named.names()?;
    let mut selection = listing.select(&listing::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::find(&mut reader, project, &repository, &reference).await?;
    let artifact = found.ok_or_else(|| named.missing())?;
    let (tags, total) = listing::of_manifest(&mut reader, artifact.id, &selection).await?;
    let immutable = if listing.params.flag("with_immutable_status") == Some(true) {
        let named: Vec<_> = tags.iter().map(|tag| (&repository, tag)).collect();
        immutable_among(&mut reader, project, &named).await?
    } else {
        HashSet::new()
    };
    let views: Vec<View> = tags.iter().map(|tag| View::new(tag, &immutable)).collect();
    Ok(listing.answer(&views, total))
}
