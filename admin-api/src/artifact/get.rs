//! A single artifact.

use axum::Json;
use axum::extract::State;
use db::artifact;
use policy::{on, to};

use crate::App;
use crate::allowed::Allowed;
use crate::artifact::{View, With, views};
use crate::error::Rendered;
use crate::param::content::ArtifactRef;
use crate::param::{Params, ProjectByName};

/// Returns an artifact, also one that only an index lists or that belongs to another.
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
    State(app): App,
) -> Rendered<View> {
    let (repository, reference) = named.names()?;
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::find(&mut reader, project, &repository, &reference).await?;
    drop(reader);
    let artifact = found.ok_or_else(|| named.missing())?;
    let views = views(&app, project, vec![artifact], With::parse(&params)).await?;
    let view = views.into_iter().next();
    Ok(Json(view.ok_or_else(|| named.missing())?))
}
