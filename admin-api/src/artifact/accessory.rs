//! Accessories of an artifact: signatures, SBOMs and anything else with the artifact as its subject.

use axum::extract::State;
use axum::response::Response;
use db::artifact::{self, Accessory, Artifact};
use model::ManifestId;
use policy::{on, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::param::content::ArtifactRef;
use crate::{App, Error, icon};

/// An accessory in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Accessory)]
pub(crate) struct View {
    #[schema(value_type = i64)]
    artifact_id: ManifestId,
    creation_time: String,
    digest: String,
    icon: &'static str,
    #[schema(value_type = i64)]
    id: ManifestId,
    size: i64,
    subject_artifact_digest: String,
    #[schema(value_type = i64)]
    subject_artifact_id: ManifestId,
    subject_artifact_repo: String,
    r#type: String,
}

impl View {
    /// An accessory of an artifact.
    pub(super) fn new(accessory: &Accessory, subject: &Artifact) -> Self {
        Self {
            artifact_id: accessory.id,
            creation_time: accessory.pushed_at.to_string(),
            digest: accessory.digest.to_string(),
            icon: icon::of_accessory(&accessory.kind),
            id: accessory.id,
            size: accessory.size,
            subject_artifact_digest: accessory.subject.to_string(),
            subject_artifact_id: subject.id,
            subject_artifact_repo: subject.name.to_string(),
            r#type: accessory.kind.clone(),
        }
    }
}

/// Lists the accessories of an artifact, oldest first by default.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/accessories",
    operation_id = "listAccessories", tag = "artifact",
    responses((status = 200, description = "A page of accessories.", body = Vec<View>))
)]
pub(crate) async fn list(
    named: ArtifactRef,
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Accessory, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let (repository, reference) = named.names()?;
    let selection = listing.select(&artifact::ACCESSORY_FIELDS)?;
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let found = artifact::find(&mut reader, project, &repository, &reference).await?;
    let subject = found.ok_or_else(|| named.missing())?;
    let of = (subject.repository, &subject.digest);
    let (found, total) = artifact::accessories(&mut reader, of, &selection).await?;
    let views: Vec<View> = found.iter().map(|one| View::new(one, &subject)).collect();
    Ok(listing.answer(&views, total))
}
