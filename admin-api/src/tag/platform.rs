//! Platforms of artifacts, in the form `os/architecture[/variant]`.

use std::collections::{HashMap, HashSet};

use db::Reader;
use db::artifact::{self, Artifact};
use model::ManifestId;
use model::artifact::is_index;
use serde::Deserialize;

use crate::Error;
use crate::room::Room;

/// The platforms that indexes among some artifacts list.
pub(crate) async fn of_indexes(
    reader: &mut Reader,
    room: &mut Room,
    artifacts: &[Artifact],
) -> Result<HashMap<ManifestId, Vec<String>>, Error> {
    let indexes: Vec<ManifestId> = artifacts
        .iter()
        .filter(|artifact| is_index(&artifact.media_type))
        .map(|artifact| artifact.id)
        .collect();
    let parts = artifact::parts(reader, &indexes).await?;
    room.hanging(parts.len())?;
    let mut platforms: HashMap<ManifestId, Vec<String>> = HashMap::new();
    let mut seen: HashSet<(ManifestId, &str)> = HashSet::new();
    for part in &parts {
        let listed = platforms.entry(part.index).or_default();
        // Attestations are in an index as images for an unknown platform.
        let platform = part.platform.as_deref();
        let platform = platform.filter(|text| *text != "unknown/unknown");
        let new = platform.filter(|text| seen.insert((part.index, *text)));
        listed.extend(new.map(str::to_owned));
    }
    Ok(platforms)
}

/// The platform that an image's config names.
pub(crate) fn of_attrs(artifact: &Artifact) -> Option<String> {
    #[derive(Deserialize)]
    struct Attrs {
        os: String,
        architecture: String,
    }
    let attrs: Attrs = serde_json::from_str(artifact.attrs.as_deref()?).ok()?;
    Some(format!("{}/{}", attrs.os, attrs.architecture))
}
