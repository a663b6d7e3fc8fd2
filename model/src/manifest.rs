//! Manifests as far as a registry must understand them: what they refer to, and what they are.
//! The bytes themselves are never rewritten.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Digest, MediaType};

/// A manifest that was read from its bytes.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What kind of manifest it is.
    pub media_type: MediaType,
    /// The artifact type by which referrers are filtered: `artifactType`, or the config's media
    /// type where there is none.
    pub artifact_type: Option<String>,
    /// The manifest that this one is attached to.
    pub subject: Option<Digest>,
    /// All that it refers to, in order, the subject aside.
    pub children: Vec<Child>,
    /// Its annotations, repeated in referrers lists.
    pub annotations: BTreeMap<String, String>,
}

/// Something that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// What kind of thing it is.
    pub kind: ChildKind,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes as the manifest states it.
    pub size: i64,
    /// Its media type as the manifest states it.
    pub media_type: String,
    /// `os/architecture[/variant]`, for the children of an index.
    pub platform: Option<String>,
}

/// Where a child is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// A blob of the same repository.
    Blob,
    /// A manifest of the same repository.
    Manifest,
    /// Bytes that may live elsewhere (`urls`): not required here.
    Foreign,
}

/// Why bytes are not a manifest that can be stored.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON of the expected shape.
    #[error("manifest is not valid JSON of its media type: {0}")]
    Json(String),
    /// A media type that no client can use here.
    #[error(
        "unsupported manifest media type {0:?}; push OCI manifests and indexes, or docker schema 2"
    )]
    MediaType(String),
    /// `Content-Type` and `mediaType` differ.
    #[error("Content-Type {header:?} differs from the manifest's mediaType {field:?}")]
    MediaTypeDiffers {
        /// The header.
        header: String,
        /// The field.
        field: String,
    },
    /// A field that is missing, doubled or out of bounds.
    #[error("{0}")]
    Field(String),
}

/// Most entries that one manifest may list.
pub const MAX_CHILDREN: usize = 10_000;

/// A descriptor, as referrers lists print it (OCI image specification, "Content Descriptors").
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of what it describes.
    pub media_type: String,
    /// Digest of what it describes.
    pub digest: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations, a JSON object of texts; none where there would be none in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    blobs: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
    subject: Option<RawDescriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: i64,
    urls: Option<Vec<String>>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Says which field is wrong, and how.
    pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| InvalidManifest::Json(error.to_string()))?;
        let media_type = document.media_type(content_type)?;
        document.check(media_type)?;
        document.read(media_type)
    }
}

impl Document {
    fn media_type(&self, content_type: Option<&str>) -> Result<MediaType, InvalidManifest> {
        let header = content_type.map(str::trim).filter(|text| !text.is_empty());
        let field = self.media_type.as_deref().filter(|text| !text.is_empty());
        let parse = |text: &str| {
            MediaType::parse(text).ok_or_else(|| InvalidManifest::MediaType(text.to_owned()))
        };
        let named = match (header, field) {
            (Some(header), Some(field)) => {
                let (from_header, from_field) = (parse(header)?, parse(field)?);
                if from_header != from_field {
                    return Err(InvalidManifest::MediaTypeDiffers {
                        header: header.to_owned(),
                        field: field.to_owned(),
                    });
                }
                Some(from_header)
            }
            (Some(text), None) | (None, Some(text)) => Some(parse(text)?),
            (None, None) => None,
        };
        match named {
            Some(named) => Ok(named),
            None if self.manifests.is_some() => Ok(MediaType::OciIndex),
            None if self.config.is_some() => Ok(MediaType::OciManifest),
            None => Err(InvalidManifest::MediaType(String::new())),
        }
    }

    /// One document must not be readable as two kinds of manifest.
    fn check(&self, media_type: MediaType) -> Result<(), InvalidManifest> {
        let field = |text: &str| Err(InvalidManifest::Field(text.to_owned()));
        if self.fs_layers.is_some() {
            return field("docker schema 1 manifests are not supported: push schema 2 or OCI");
        }
        if media_type != MediaType::OciArtifact && self.schema_version != Some(2) {
            return field("schemaVersion must be 2");
        }
        let content = self.config.is_some() || self.layers.is_some();
        match media_type {
            MediaType::OciIndex | MediaType::DockerList if content || self.blobs.is_some() => {
                field("an index must not have config, layers or blobs")
            }
            MediaType::OciIndex | MediaType::DockerList if self.manifests.is_none() => {
                field("manifests is missing")
            }
            MediaType::OciManifest | MediaType::DockerManifest
                if self.manifests.is_some() || self.blobs.is_some() =>
            {
                field("an image manifest must not have manifests or blobs")
            }
            MediaType::OciManifest | MediaType::DockerManifest if self.config.is_none() => {
                field("config is missing")
            }
            MediaType::OciManifest | MediaType::DockerManifest if self.layers.is_none() => {
                field("layers is missing")
            }
            MediaType::OciArtifact if content || self.manifests.is_some() => {
                field("an artifact manifest must not have config, layers or manifests")
            }
            _ => Ok(()),
        }
    }

    fn read(self, media_type: MediaType) -> Result<Manifest, InvalidManifest> {
        let config_type = self.config.as_ref().map(|config| config.media_type.clone());
        let artifact_type = self
            .artifact_type
            .or(config_type)
            .filter(|text| !text.is_empty());
        let subject = match &self.subject {
            Some(subject) => Some(parse_digest("subject", &subject.digest)?),
            None => None,
        };
        let blobs = self.config.into_iter().map(|d| ("config", d));
        let blobs = blobs.chain(self.layers.into_iter().flatten().map(|d| ("layers", d)));
        let blobs = blobs.chain(self.blobs.into_iter().flatten().map(|d| ("blobs", d)));
        let manifests = self
            .manifests
            .into_iter()
            .flatten()
            .map(|d| ("manifests", d));
        let children: Vec<Child> = blobs
            .chain(manifests)
            .map(|(field, raw)| raw.read(field))
            .collect::<Result<_, _>>()?;
        if children.len() > MAX_CHILDREN {
            return Err(InvalidManifest::Field(format!(
                "more than {MAX_CHILDREN} entries"
            )));
        }
        let annotations = self.annotations.unwrap_or_default();
        Ok(Manifest {
            media_type,
            artifact_type,
            subject,
            children,
            annotations,
        })
    }
}

impl RawDescriptor {
    fn read(self, field: &'static str) -> Result<Child, InvalidManifest> {
        if self.size < 0 {
            return Err(InvalidManifest::Field(format!(
                "{field}: size must not be negative"
            )));
        }
        let foreign = field == "layers" && self.urls.is_some_and(|urls| !urls.is_empty());
        let kind = match field {
            _ if foreign => ChildKind::Foreign,
            // An index is judged by media type: BuildKit lists layers there.
            "manifests" if MediaType::parse(&self.media_type).is_some() => ChildKind::Manifest,
            _ => ChildKind::Blob,
        };
        Ok(Child {
            kind,
            digest: parse_digest(field, &self.digest)?,
            size: self.size,
            media_type: self.media_type,
            platform: self.platform.map(Platform::print),
        })
    }
}

impl Platform {
    fn print(self) -> String {
        let variant = self
            .variant
            .map(|variant| format!("/{variant}"))
            .unwrap_or_default();
        format!("{}/{}{variant}", self.os, self.architecture)
    }
}

fn parse_digest(field: &str, text: &str) -> Result<Digest, InvalidManifest> {
    text.parse()
        .map_err(|error| InvalidManifest::Field(format!("{field}: digest {text:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const D: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn image(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/x","digest":"{D}","size":2}},
            "layers":[{{"mediaType":"l","digest":"{D}","size":3}}]{extra}}}"#
        )
    }

    #[test]
    fn an_image_names_config_and_layers() {
        let manifest = Manifest::parse(None, image("").as_bytes()).unwrap();
        assert_eq!(manifest.children.len(), 2);
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/x"));
    }

    #[test]
    fn layers_in_an_index_are_blobs() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{D}","size":1}},
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{D}","size":1}}]}}"#
        );
        let manifest = Manifest::parse(None, text.as_bytes()).unwrap();
        let kinds: Vec<_> = manifest.children.iter().map(|child| child.kind).collect();
        assert_eq!(kinds, [ChildKind::Blob, ChildKind::Manifest]);
    }

    #[test]
    fn a_document_of_two_kinds_is_refused() {
        let text = image(r#","manifests":[]"#);
        assert!(Manifest::parse(None, text.as_bytes()).is_err());
    }

    #[test]
    fn a_content_type_that_differs_is_refused() {
        let error = Manifest::parse(Some(crate::media_type::OCI_INDEX), image("").as_bytes());
        assert!(matches!(
            error,
            Err(InvalidManifest::MediaTypeDiffers { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(None, &bytes);
        }
    }
}
