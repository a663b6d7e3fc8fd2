//! All tags of a repository, with the data that a page shows, in one request.

use std::collections::{HashMap, HashSet};

use axum::extract::State;
use axum::response::Response;
use db::artifact::{self, Artifact};
use db::label::Label;
use db::list::{Direction, Field};
use db::repository;
use db::tag::listing::{self, Listed};
use model::{AccessoryKind, ManifestId, TagId};
use policy::{on, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::label;
use crate::listing::Listing;
use crate::param::{ProjectByName, RepositoryRef};
use crate::tag::{immutable_among, platform, time};
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (listing::PUSHED, Direction::Down);

/// A tag with its artifact.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagOverview {
    #[schema(value_type = i64)]
    artifact_id: ManifestId,
    digest: String,
    immutable: bool,
    /// Those of its artifact, by name.
    labels: Vec<label::View>,
    manifest_media_type: String,
    media_type: String,
    name: String,
    /// `os/architecture[/variant]`; for an index, those of its entries.
    platforms: Vec<String>,
    /// How often it was pulled by this tag.
    pull_count: i64,
    /// When it was last pulled by this tag.
    pull_time: String,
    push_time: String,
    /// Whether it has an SBOM.
    sbom: bool,
    /// Whether it has a signature, which is not verified.
    signed: bool,
    size: i64,
    r#type: String,
}

/// Lists the tags of a repository with type, size, platforms and times of their artifacts, newest first by default.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags",
    operation_id = "listRepositoryTags", tag = "tag",
    responses((status = 200, description = "A page of tags.", body = Vec<TagOverview>))
)]
pub(crate) async fn list(
    named: RepositoryRef,
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Tag, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let name = named.name()?;
    let mut selection = listing.select(&listing::ALL_FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let repository = repository::published_in(&mut reader, project, &name).await?;
    let repository = repository.ok_or_else(|| named.missing())?;
    let (tags, total) = listing::of_repository(&mut reader, repository, &selection).await?;
    let mut ids: Vec<ManifestId> = tags.iter().map(|tag| tag.manifest).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut artifacts = artifact::by_ids(&mut reader, &ids).await?;
    let named: Vec<_> = tags.iter().map(|tag| (&name, tag)).collect();
    let facts = Facts {
        platforms: platform::of_indexes(&mut reader, &mut listing.room, &artifacts).await?,
        accessories: artifact::accessory_kinds(&mut reader, &ids).await?,
        immutable: immutable_among(&mut reader, project, &named).await?,
        labels: db::label::of_manifests(&mut reader, &ids).await?,
    };
    drop(reader);
    app.registry.fill_attrs(&mut artifacts).await?;
    let texts = |artifact: &Artifact| artifact.attrs.as_ref().map_or(0, String::len);
    listing.room.texts(artifacts.iter().map(texts).sum())?;
    listing
        .room
        .hanging(tags.iter().map(|tag| facts.shown(tag)).sum())?;
    let artifacts: HashMap<ManifestId, Artifact> = artifacts
        .into_iter()
        .map(|artifact| (artifact.id, artifact))
        .collect();
    let view = |tag: &Listed| Some(facts.view(tag, artifacts.get(&tag.manifest)?));
    let views: Vec<TagOverview> = tags.iter().filter_map(view).collect();
    Ok(listing.answer(&views, total))
}

/// Data about the artifacts of a page.
struct Facts {
    platforms: HashMap<ManifestId, Vec<String>>,
    accessories: HashSet<(ManifestId, String)>,
    immutable: HashSet<TagId>,
    labels: HashMap<ManifestId, Vec<Label>>,
}

/// How many labels are shown with a tag, and how many platforms.
const SHOWN: usize = 100;
/// The kinds of signatures.
const SIGNATURES: [AccessoryKind; 2] = [AccessoryKind::Cosign, AccessoryKind::Notation];

impl Facts {
    /// The number of labels and platforms that a tag shows. Tags of one artifact all show the same ones.
    fn shown(&self, tag: &Listed) -> usize {
        let labels = self.labels.get(&tag.manifest).map_or(0, Vec::len);
        let platforms = self.platforms.get(&tag.manifest).map_or(0, Vec::len);
        labels.min(SHOWN) + platforms.min(SHOWN)
    }

    fn view(&self, tag: &Listed, artifact: &Artifact) -> TagOverview {
        let has = |kind: AccessoryKind| {
            let kind = (artifact.id, kind.name().to_owned());
            self.accessories.contains(&kind)
        };
        let listed = self.platforms.get(&artifact.id);
        let listed = listed.map(|all| all.iter().take(SHOWN).cloned().collect());
        let labels = self.labels.get(&artifact.id).into_iter().flatten();
        let labels = labels.take(SHOWN);
        let own = || platform::of_attrs(artifact).into_iter().collect();
        TagOverview {
            artifact_id: artifact.id,
            digest: artifact.digest.to_string(),
            immutable: self.immutable.contains(&tag.id),
            labels: labels.cloned().map(Into::into).collect(),
            manifest_media_type: artifact.media_type.clone(),
            media_type: artifact.config_type.clone(),
            name: tag.name.to_string(),
            platforms: listed.unwrap_or_else(own),
            pull_count: tag.pulls,
            pull_time: time(tag.pulled_at),
            push_time: tag.pushed_at.to_string(),
            sbom: has(AccessoryKind::HarborSbom),
            signed: SIGNATURES.into_iter().any(has),
            size: artifact.size,
            r#type: artifact.kind.clone(),
        }
    }
}
