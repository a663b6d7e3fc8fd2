//! Artifacts.

pub(crate) mod accessory;
pub(crate) mod addition;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
mod with;

use std::collections::BTreeMap;

use db::artifact::{Artifact, Part};
use model::artifact::is_index;
use model::{Addition, ManifestId, ProjectId, RepositoryId, RepositoryName};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub(crate) use self::with::{With, views};
use crate::tag::{self, time};
use crate::{icon, label};

/// An artifact in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(crate) struct View {
    accessories: Option<Vec<accessory::View>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, AdditionLink>)]
    addition_links: BTreeMap<&'static str, AdditionLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    annotations: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    extra_attrs: Option<Box<RawValue>>,
    icon: &'static str,
    #[schema(value_type = i64)]
    id: ManifestId,
    labels: Option<Vec<label::View>>,
    manifest_media_type: String,
    media_type: String,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    pull_time: String,
    push_time: String,
    references: Option<Vec<Reference>>,
    #[schema(value_type = i64)]
    repository_id: RepositoryId,
    repository_name: String,
    size: i64,
    tags: Option<Vec<tag::View>>,
    r#type: String,
}

/// Where an addition is.
#[derive(Serialize, ToSchema)]
struct AdditionLink {
    absolute: bool,
    href: String,
}

/// Something that an index lists.
#[derive(Serialize, ToSchema)]
#[schema(as = ArtifactReference)]
struct Reference {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    annotations: Option<Box<RawValue>>,
    child_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    child_id: Option<ManifestId>,
    #[schema(value_type = i64)]
    parent_id: ManifestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[schema(value_type = Option<Vec<String>>)]
    urls: Option<[(); 0]>,
}

/// What an artifact runs on.
#[derive(Serialize, ToSchema)]
struct Platform {
    architecture: String,
    os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

impl View {
    fn new(artifact: Artifact) -> Self {
        let links = links(&artifact);
        Self {
            accessories: None,
            addition_links: links,
            annotations: artifact
                .annotations
                .filter(|text| text != "{}")
                .and_then(raw),
            artifact_type: artifact.artifact_type,
            digest: artifact.digest.to_string(),
            extra_attrs: artifact.attrs.and_then(raw),
            icon: icon::of_artifact(&artifact.kind),
            id: artifact.id,
            labels: None,
            manifest_media_type: artifact.media_type,
            media_type: artifact.config_type,
            project_id: artifact.project,
            pull_time: time(artifact.pulled_at),
            push_time: artifact.pushed_at.to_string(),
            references: None,
            repository_id: artifact.repository,
            repository_name: artifact.name.to_string(),
            size: artifact.size,
            tags: None,
            r#type: artifact.kind,
        }
    }
}

/// JSON that is printed as stored.
fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

fn links(artifact: &Artifact) -> BTreeMap<&'static str, AdditionLink> {
    let additions = Addition::of(&artifact.kind, is_index(&artifact.media_type));
    let here = path(&artifact.name);
    let link = |addition: &Addition| {
        let name = addition.name();
        let href = format!("{here}/artifacts/{}/additions/{name}", artifact.digest);
        let absolute = false;
        (name, AdditionLink { absolute, href })
    };
    additions.iter().map(link).collect()
}

/// The path of a repository in the API.
fn path(repository: &RepositoryName) -> String {
    let project = repository.project_str();
    let name = repository.as_str();
    let rest = name.get(project.len() + 1..).unwrap_or_default();
    let rest = rest.replace('/', "%252F");
    format!("/api/v2.0/projects/{project}/repositories/{rest}")
}

impl From<Part> for Reference {
    fn from(part: Part) -> Self {
        Self {
            annotations: part.annotations.and_then(raw),
            child_digest: part.digest.to_string(),
            child_id: part.child,
            parent_id: part.index,
            platform: part.platform.as_deref().map(Platform::parse),
            urls: None,
        }
    }
}

impl Platform {
    /// Reads `os/architecture[/variant]`.
    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        Self {
            os: parts.next().unwrap_or_default(),
            architecture: parts.next().unwrap_or_default(),
            variant: parts.next(),
        }
    }
}
