//! Manifests, as far as a registry must understand them: their type and their references. The bytes themselves are
//! never rewritten.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Digest, MediaType, media_type};

/// A parsed manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What kind of manifest it is.
    pub media_type: MediaType,
    /// The artifact type by which referrers are filtered: `artifactType`, or else the config's media type.
    pub artifact_type: Option<String>,
    /// The manifest that this one is attached to.
    pub subject: Option<Digest>,
    /// Everything that it references, in order, except the subject.
    pub children: Vec<Child>,
    /// Its annotations, repeated in referrers lists.
    pub annotations: BTreeMap<String, String>,
    /// Whether its last layer is marked as the bootstrap of a Nydus image.
    pub is_nydus: bool,
}

/// A reference in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The field that names it.
    pub field: Field,
    /// What it is.
    pub kind: ChildKind,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, as stated.
    pub size: i64,
    /// Its media type, as stated.
    pub media_type: String,
    /// `os/architecture[/variant]`, for the children of an index.
    pub platform: Option<String>,
    /// Its annotations in an index, unless they are large.
    pub annotations: BTreeMap<String, String>,
}

/// Where a child is found. `urls` in a descriptor do not matter: a child in the repository is referenced there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// A blob of the same repository.
    Blob,
    /// A manifest of the same repository.
    Manifest,
    /// A blob of a type that may be stored elsewhere: it need never be in the repository.
    Foreign,
}

/// A field of a manifest that holds a descriptor; displayed as `config` or `layers[2]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    name: &'static str,
    index: Option<usize>,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Why bytes are not a manifest that can be stored.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON of the expected structure.
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
    /// A field is missing, duplicated or out of bounds.
    #[error("{0}")]
    Field(String),
}

/// Maximum entries of a manifest.
pub const MAX_CHILDREN: usize = 10_000;
/// Maximum annotations of a manifest, without those of its entries.
pub const MAX_ANNOTATIONS: usize = 10_000;
/// Maximum length of a media type, artifact type or part of a platform, in bytes (RFC 6838 allows 255 for a media
/// type).
pub const MAX_TYPE_LENGTH: usize = 255;

/// A descriptor, as in referrers lists (OCI image specification, "Content Descriptors").
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    pub media_type: String,
    /// The digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations, a JSON object of strings; `None` if it would be empty.
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
    layers: Option<Descriptors>,
    blobs: Option<Descriptors>,
    #[serde(default, deserialize_with = "present")]
    manifests: Given<Descriptors>,
    fs_layers: Option<serde::de::IgnoredAny>,
    subject: Option<RawDescriptor>,
    annotations: Option<Annotations>,
}

/// Descriptors, limited in number: each takes many times its size in the document.
#[derive(Default)]
struct Descriptors(Vec<RawDescriptor>);

impl<'de> Deserialize<'de> for Descriptors {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Descriptors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of descriptors")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Descriptors, A::Error> {
                let mut descriptors = Vec::new();
                while let Some(descriptor) = list.next_element()? {
                    if descriptors.len() == MAX_CHILDREN {
                        return Err(de::Error::custom(TooManyEntries));
                    }
                    descriptors.push(descriptor);
                }
                Ok(Descriptors(descriptors))
            }
        }

        from.deserialize_seq(List)
    }
}

/// Annotations, limited in number.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut annotations = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    annotations.insert(name, value);
                    if annotations.len() > MAX_ANNOTATIONS {
                        let message = format!("more than {MAX_ANNOTATIONS} annotations");
                        return Err(de::Error::custom(message));
                    }
                }
                Ok(Annotations(annotations))
            }
        }

        from.deserialize_map(Map)
    }
}

/// The error for a manifest that lists too many items.
struct TooManyEntries;

impl fmt::Display for TooManyEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MAX_CHILDREN} entries")
    }
}

/// A field that may be absent, null or filled. Programs write null for an empty list.
#[derive(Default)]
enum Given<T> {
    #[default]
    Absent,
    Null,
    Filled(T),
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Given<T>, D::Error> {
    Ok(Option::deserialize(from)?.map_or(Given::Null, Given::Filled))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: i64,
    platform: Option<Platform>,
    annotations: Option<Marks>,
}

/// Annotations of a descriptor. They are not checked: those that are not storable text are left out, and all of them if
/// they are large.
#[derive(Default)]
struct Marks {
    texts: BTreeMap<String, String>,
    is_nydus: bool,
}

/// Maximum bytes of a descriptor's annotations to keep.
const MAX_MARKS: usize = 4 << 10;
/// Marks the bootstrap of a Nydus image.
const NYDUS_BOOTSTRAP: &str = "containerd.io/snapshot/nydus-bootstrap";

impl Marks {
    fn add(&mut self, name: String, value: &RawValue) {
        // Null stands for nothing.
        self.is_nydus |= name == NYDUS_BOOTSTRAP && value.get() != "null";
        if !value.get().starts_with('"') {
            return;
        }
        if let Ok(text) = serde_json::from_str::<String>(value.get())
            && !name.contains('\0')
            && !text.contains('\0')
        {
            self.texts.insert(name, text);
        }
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Marks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
                let (mut marks, mut bytes) = (Marks::default(), 0);
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    bytes += name.len() + value.get().len();
                    marks.add(name, value);
                    if bytes > MAX_MARKS {
                        marks.texts.clear();
                    }
                }
                Ok(marks)
            }
        }

        from.deserialize_map(Map)
    }
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
    /// Names the field, and what is wrong with it.
    pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| InvalidManifest::Json(error.to_string()))?;
        let media_type = document.media_type(content_type)?;
        document.check(media_type)?;
        document.read(media_type)
    }

    /// The configuration, which images and artifacts have.
    pub fn config(&self) -> Option<&Child> {
        self.children
            .iter()
            .find(|child| child.field.name == "config")
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
            None if self.lists_manifests() => Ok(MediaType::OciIndex),
            None if self.config.is_some() => Ok(MediaType::OciManifest),
            None if matches!(self.manifests, Given::Null) => Ok(MediaType::OciIndex),
            None => Err(InvalidManifest::MediaType(String::new())),
        }
    }

    fn lists_manifests(&self) -> bool {
        matches!(self.manifests, Given::Filled(_))
    }

    /// A document must not be valid as two kinds of manifest.
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
            MediaType::OciManifest | MediaType::DockerManifest
                if self.lists_manifests() || self.blobs.is_some() =>
            {
                field("an image manifest must not have manifests or blobs")
            }
            MediaType::OciManifest | MediaType::DockerManifest if self.config.is_none() => {
                field("config is missing")
            }
            MediaType::OciArtifact if content || self.lists_manifests() => {
                field("an artifact manifest must not have config, layers or manifests")
            }
            _ => Ok(()),
        }
    }

    fn read(self, media_type: MediaType) -> Result<Manifest, InvalidManifest> {
        if let Some(artifact_type) = &self.artifact_type {
            check_type("artifactType", artifact_type)?;
        }
        let config_type = self.config.as_ref().map(|config| config.media_type.clone());
        let artifact_type = self
            .artifact_type
            .or(config_type)
            .filter(|text| !text.is_empty());
        let subject = match &self.subject {
            Some(subject) => Some(parse_digest("subject", &subject.digest)?),
            None => None,
        };
        let manifests = match self.manifests {
            Given::Filled(manifests) => manifests,
            Given::Absent | Given::Null => Descriptors::default(),
        };
        let (layers, blobs) = (
            self.layers.unwrap_or_default(),
            self.blobs.unwrap_or_default(),
        );
        let listed_in_all = layers.0.len() + blobs.0.len() + manifests.0.len();
        if listed_in_all + usize::from(self.config.is_some()) > MAX_CHILDREN {
            return Err(InvalidManifest::Field(TooManyEntries.to_string()));
        }
        let last = layers.0.last().and_then(|last| last.annotations.as_ref());
        let is_nydus = last.is_some_and(|marks| marks.is_nydus);
        let config = self.config.map(|raw| {
            let field = Field {
                name: "config",
                index: None,
            };
            (field, raw)
        });
        let children: Vec<Child> = config
            .into_iter()
            .chain(listed("layers", layers))
            .chain(listed("blobs", blobs))
            .chain(listed("manifests", manifests))
            .map(|(field, raw)| raw.read(field))
            .collect::<Result<_, _>>()?;
        let Annotations(annotations) = self.annotations.unwrap_or_default();
        Ok(Manifest {
            media_type,
            artifact_type,
            subject,
            children,
            annotations,
            is_nydus,
        })
    }
}

fn listed(
    name: &'static str,
    Descriptors(descriptors): Descriptors,
) -> impl Iterator<Item = (Field, RawDescriptor)> {
    let field = move |(index, raw)| {
        let index = Some(index);
        (Field { name, index }, raw)
    };
    descriptors.into_iter().enumerate().map(field)
}

impl RawDescriptor {
    fn read(self, field: Field) -> Result<Child, InvalidManifest> {
        if self.size < 0 {
            return Err(InvalidManifest::Field(format!(
                "{field}.size must not be negative"
            )));
        }
        check_type(format_args!("{field}.mediaType"), &self.media_type)?;
        Ok(Child {
            field,
            kind: self.kind(field),
            digest: parse_digest(field, &self.digest)?,
            size: self.size,
            media_type: self.media_type,
            platform: match self.platform {
                Some(platform) => Some(platform.print(field)?),
                None => None,
            },
            annotations: match self.annotations {
                Some(marks) if field.name == "manifests" => marks.texts,
                _ => BTreeMap::new(),
            },
        })
    }

    fn kind(&self, field: Field) -> ChildKind {
        match field.name {
            "config" => ChildKind::Blob,
            // The media type decides: BuildKit lists layers in an index.
            "manifests" if MediaType::parse(&self.media_type).is_some() => ChildKind::Manifest,
            _ if media_type::is_foreign(&self.media_type) => ChildKind::Foreign,
            _ => ChildKind::Blob,
        }
    }
}

/// Refuses text that a database cannot store, or that is too long.
fn check_type(field: impl fmt::Display, text: &str) -> Result<(), InvalidManifest> {
    if text.contains('\0') {
        return Err(InvalidManifest::Field(format!(
            "{field} must not contain NUL"
        )));
    }
    if text.len() > MAX_TYPE_LENGTH {
        return Err(InvalidManifest::Field(format!(
            "{field} has more than {MAX_TYPE_LENGTH} bytes"
        )));
    }
    Ok(())
}

impl Platform {
    fn print(self, field: Field) -> Result<String, InvalidManifest> {
        let variant = self
            .variant
            .map(|variant| format!("/{variant}"))
            .unwrap_or_default();
        let text = format!("{}/{}{variant}", self.os, self.architecture);
        check_type(format_args!("{field}.platform"), &text)?;
        Ok(text)
    }
}

fn parse_digest(field: impl fmt::Display, text: &str) -> Result<Digest, InvalidManifest> {
    text.parse()
        .map_err(|error| InvalidManifest::Field(format!("{field}.digest {text:?}: {error}")))
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

    #[test]
    fn a_null_list_is_an_empty_one() {
        let config = format!(r#""config":{{"mediaType":"c","digest":"{D}","size":2}}"#);
        for (text, children) in [
            (
                format!(r#"{{"schemaVersion":2,{config},"layers":null}}"#),
                1,
            ),
            (format!(r#"{{"schemaVersion":2,{config}}}"#), 1),
            (
                format!(r#"{{"schemaVersion":2,{config},"manifests":null}}"#),
                1,
            ),
            (r#"{"schemaVersion":2,"manifests":null}"#.to_owned(), 0),
        ] {
            let manifest = Manifest::parse(None, text.as_bytes()).unwrap();
            assert_eq!(manifest.children.len(), children, "{text}");
            assert_eq!(manifest.media_type.is_index(), children == 0, "{text}");
        }
        assert!(Manifest::parse(None, br#"{"schemaVersion":2}"#).is_err());
    }

    #[test]
    fn entries_and_annotations_are_bounded() {
        let with = |layers: usize, annotations: usize| {
            let layer = format!(r#"{{"digest":"{D}","size":1}}"#);
            let layers = vec![layer; layers].join(",");
            let annotations = (0..annotations).map(|at| format!(r#""{at}":"""#));
            let annotations = annotations.collect::<Vec<_>>().join(",");
            let text = format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"{D}","size":1}},
                "layers":[{layers}],"annotations":{{{annotations}}}}}"#
            );
            let parsed = Manifest::parse(None, text.as_bytes());
            let counts = |parsed: Manifest| (parsed.children.len(), parsed.annotations.len());
            parsed.map(counts).map_err(|error| error.to_string())
        };
        let most = (MAX_CHILDREN, MAX_ANNOTATIONS);
        assert_eq!(with(MAX_CHILDREN - 1, MAX_ANNOTATIONS), Ok(most));
        for (layers, annotations, message) in [
            (MAX_CHILDREN, 0, "more than 10000 entries"),
            (MAX_CHILDREN + 1, 0, "more than 10000 entries"),
            (1, MAX_ANNOTATIONS + 1, "more than 10000 annotations"),
        ] {
            let error = with(layers, annotations).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn errors_name_the_field() {
        let long = "x".repeat(MAX_TYPE_LENGTH + 1);
        let with = |layer: &str| {
            format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"{D}","size":1}},
                "layers":[{{"digest":"{D}","size":1}},{{"digest":"{D}",{layer}}}]}}"#
            )
        };
        for (text, message) in [
            (
                image(r#","artifactType":"a\u0000""#),
                "artifactType must not contain NUL".to_owned(),
            ),
            (
                with(r#""mediaType":"a\u0000b","size":1"#),
                "layers[1].mediaType must not contain NUL".to_owned(),
            ),
            (
                with(r#""platform":{"os":"\u0000"},"size":1"#),
                "layers[1].platform must not contain NUL".to_owned(),
            ),
            (
                with(&format!(r#""mediaType":"{long}","size":1"#)),
                "layers[1].mediaType has more than 255 bytes".to_owned(),
            ),
            (
                with(r#""size":-1"#),
                "layers[1].size must not be negative".to_owned(),
            ),
        ] {
            let error = Manifest::parse(None, text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(None, &bytes);
        }

        #[test]
        fn urls_decide_nothing(
            media_type in prop_oneof![
                Just("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".to_owned()),
                Just("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd".to_owned()),
                Just("application/vnd.oci.image.layer.v1.tar+gzip".to_owned()),
                "[a-z]{1,9}/[a-z.]{1,40}",
            ],
            urls in prop::collection::vec("[a-z:/]{0,20}", 0..3),
        ) {
            let layer = |urls: String| format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"{D}","size":2}},
                "layers":[{{"mediaType":"{media_type}","digest":"{D}","size":3{urls}}}]}}"#
            );
            let with = layer(format!(r#","urls":{}"#, serde_json::to_string(&urls).unwrap()));
            let kind = |text: String| Manifest::parse(None, text.as_bytes()).unwrap().children[1].kind;
            let expected = if crate::media_type::is_foreign(&media_type) { ChildKind::Foreign } else { ChildKind::Blob };
            prop_assert_eq!(kind(with), expected);
            prop_assert_eq!(kind(layer(String::new())), expected);
        }

        #[test]
        fn what_is_stored_as_text_has_no_nul(artifact in "[a-c\\x00]{0,6}", layer in "[a-c\\x00]{0,6}", os in "[a-c\\x00]{0,3}") {
            let text = serde_json::json!({
                "schemaVersion": 2,
                "artifactType": artifact,
                "config": { "digest": D, "size": 1 },
                "layers": [{ "mediaType": layer, "digest": D, "size": 1, "platform": { "os": os } }],
            });
            let nul = [&artifact, &layer, &os].iter().any(|text| text.contains('\0'));
            prop_assert_eq!(Manifest::parse(None, text.to_string().as_bytes()).is_err(), nul);
        }
    }
}
