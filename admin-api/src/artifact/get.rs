//! A single artifact.

use axum::extract::State;
use axum::{Extension, Json};
use db::artifact;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::artifact::{View, With, views};
use crate::caller::By;
use crate::param::content::ArtifactRef;
use crate::param::{Params, ProjectByName};
use crate::room::{HeldRoom, Room};
use crate::{App, Error};

/// Returns an artifact, including one that is only listed by an index, and an accessory.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}",
    operation_id = "getArtifact", tag = "artifact",
    params(
        ("with_tag" = Option<bool>, Query, description = "False to leave tags out."),
        ("with_label" = Option<bool>, Query, description = "True to have labels."),
        ("with_accessory" = Option<bool>, Query, description = "True to have accessories."),
        ("with_immutable_status" = Option<bool>, Query, description = "True to say which tags are immutable."),
        ("with_signature" = Option<bool>, Query, description = "Signatures are accessories: this changes nothing."),
        ("with_scan_overview" = Option<bool>, Query, description = "There are no scans yet."),
        ("with_sbom_overview" = Option<bool>, Query, description = "There are no scans yet."),
    ),
    responses((status = 200, description = "The artifact.", body = View))
)]
pub(crate) async fn get(
    named: ArtifactRef,
    params: Params,
    Allowed { permit, .. }: Allowed<on::Artifact, to::Read, ProjectByName>,
    By(caller): By,
    State(app): App,
) -> Result<(Extension<HeldRoom>, Json<View>), Error> {
    let (repository, reference) = named.names()?;
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::find(&mut reader, project, &repository, &reference).await?;
    drop(reader);
    let artifact = found.ok_or_else(|| named.missing())?;
    let mut room = Room::for_rows(&app, &caller, 1).await?;
    let (of, with) = ((project, vec![artifact]), With::parse(&params));
    let views = views(&app, &mut room, of, with).await?;
    let view = views.into_iter().next();
    Ok((room.held(), Json(view.ok_or_else(|| named.missing())?)))
}
