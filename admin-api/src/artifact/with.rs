//! The parts of artifacts in an answer, by the flags of a request: a fixed number of statements, however many artifacts
//! and repositories.

use std::collections::{HashMap, HashSet};

use db::Reader;
use db::artifact::{self, Artifact};
use db::tag::listing;
use model::artifact::is_index;
use model::{ManifestId, ProjectId, RepositoryName};

use super::{Reference, View, accessory};
use crate::label;
use crate::param::Params;
use crate::room::Room;
use crate::tag::{self, immutable_among};
use crate::{AdminState, Error};

/// The flags of a request. Those for scans and SBOMs change nothing yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct With {
    tags: bool,
    accessories: bool,
    labels: bool,
    immutable: bool,
}

impl With {
    /// Reads them; tags are shown unless switched off.
    pub(crate) fn parse(params: &Params) -> Self {
        let is_set = |name| params.flag(name) == Some(true);
        Self {
            tags: params.flag("with_tag") != Some(false),
            accessories: is_set("with_accessory"),
            labels: is_set("with_label"),
            immutable: is_set("with_immutable_status"),
        }
    }
}

/// Artifacts of a project in the API's form.
pub(crate) async fn views(
    app: &AdminState,
    room: &mut Room,
    (project, mut artifacts): (ProjectId, Vec<Artifact>),
    with: With,
) -> Result<Vec<View>, Error> {
    app.registry.fill_attrs(&mut artifacts).await?;
    room.texts(artifacts.iter().map(texts).sum())?;
    let mut reader = app.db.reader().await?;
    let mut references = references(&mut reader, room, &artifacts).await?;
    let mut tags = match with.tags {
        true => tags(&mut reader, room, (project, &artifacts), with.immutable).await?,
        false => HashMap::new(),
    };
    let mut accessories = match with.accessories {
        true => accessories(&mut reader, room, &artifacts).await?,
        false => HashMap::new(),
    };
    let mut labels = match with.labels {
        true => labels(&mut reader, room, &artifacts).await?,
        false => HashMap::new(),
    };
    drop(reader);
    let view = |artifact: Artifact| {
        let id = artifact.id;
        View {
            references: references.remove(&id),
            tags: tags.remove(&id),
            accessories: accessories.remove(&id),
            labels: labels.remove(&id),
            ..View::new(artifact)
        }
    };
    Ok(artifacts.into_iter().map(view).collect())
}

/// Bytes of an artifact's long texts.
fn texts(artifact: &Artifact) -> usize {
    let texts = [&artifact.annotations, &artifact.attrs].into_iter();
    texts.flatten().map(String::len).sum()
}

async fn references(
    reader: &mut Reader,
    room: &mut Room,
    artifacts: &[Artifact],
) -> Result<HashMap<ManifestId, Vec<Reference>>, Error> {
    let indexes: Vec<ManifestId> = artifacts
        .iter()
        .filter(|artifact| is_index(&artifact.media_type))
        .map(|artifact| artifact.id)
        .collect();
    let mut found: HashMap<ManifestId, Vec<Reference>> = HashMap::new();
    let parts = artifact::parts(reader, &indexes).await?;
    room.hanging(parts.len())?;
    for part in parts {
        found.entry(part.index).or_default().push(part.into());
    }
    Ok(found)
}

async fn tags(
    reader: &mut Reader,
    room: &mut Room,
    (project, artifacts): (ProjectId, &[Artifact]),
    with_immutable: bool,
) -> Result<HashMap<ManifestId, Vec<tag::View>>, Error> {
    let names: HashMap<ManifestId, &RepositoryName> = artifacts
        .iter()
        .map(|artifact| (artifact.id, &artifact.name))
        .collect();
    let ids: Vec<ManifestId> = artifacts.iter().map(|artifact| artifact.id).collect();
    let tags = listing::of_manifests(reader, &ids).await?;
    room.hanging(tags.len())?;
    let immutable = match with_immutable {
        true => {
            let name = |tag: &listing::Listed| names.get(&tag.manifest).copied();
            let named = tags.iter().filter_map(|tag| Some((name(tag)?, tag)));
            immutable_among(reader, project, &named.collect::<Vec<_>>()).await?
        }
        false => HashSet::new(),
    };
    let mut found: HashMap<ManifestId, Vec<tag::View>> = HashMap::new();
    for one in &tags {
        let views = found.entry(one.manifest).or_default();
        views.push(tag::View::new(one, &immutable));
    }
    Ok(found)
}

async fn accessories(
    reader: &mut Reader,
    room: &mut Room,
    artifacts: &[Artifact],
) -> Result<HashMap<ManifestId, Vec<accessory::View>>, Error> {
    let subjects: HashMap<ManifestId, &Artifact> = artifacts
        .iter()
        .map(|artifact| (artifact.id, artifact))
        .collect();
    let ids: Vec<ManifestId> = subjects.keys().copied().collect();
    let mut found: HashMap<ManifestId, Vec<accessory::View>> = HashMap::new();
    let accessories = artifact::accessories_of(reader, &ids).await?;
    room.hanging(accessories.len())?;
    for (of, one) in accessories {
        if let Some(subject) = subjects.get(&of) {
            let views = found.entry(of).or_default();
            views.push(accessory::View::new(&one, subject));
        }
    }
    Ok(found)
}

async fn labels(
    reader: &mut Reader,
    room: &mut Room,
    artifacts: &[Artifact],
) -> Result<HashMap<ManifestId, Vec<label::View>>, Error> {
    let ids: Vec<ManifestId> = artifacts.iter().map(|artifact| artifact.id).collect();
    let found = db::label::of_manifests(reader, &ids).await?;
    room.hanging(found.values().map(Vec::len).sum())?;
    let views = |labels: Vec<db::label::Label>| labels.into_iter().map(Into::into).collect();
    let found = found.into_iter();
    Ok(found.map(|(id, labels)| (id, views(labels))).collect())
}
