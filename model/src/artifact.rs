//! Artifacts as clients see them: Harbor's types, the parts of a config to show, and the additions.

use serde_json::{Map, Value};

use crate::{Manifest, MediaType, media_type};

/// Configuration of a Helm chart.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v1+json";
const HARBOR_SBOM: &str = "application/vnd.goharbor.harbor.sbom.v1";
const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";
const CNAB: &str = "application/vnd.cnab.manifest.v1";

/// The type of an artifact of an unknown kind.
pub const UNKNOWN: &str = "UNKNOWN";
/// The type of images and of indexes of images.
pub const IMAGE: &str = "IMAGE";
/// The type of Helm charts.
pub const CHART: &str = "CHART";
/// The type of models.
pub const MODEL_KIND: &str = "CNAI";

/// Maximum size of the shown part of a config, in bytes of JSON.
pub const LARGEST_ATTRS: usize = 64 << 10;

/// Something about an artifact that is shown on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// How an image was built.
    BuildHistory,
    /// The default values of a chart.
    Values,
    /// The readme of a chart or a model.
    Readme,
    /// What a chart depends on.
    Dependencies,
    /// The licence of a model.
    License,
    /// The files of a model.
    Files,
}

impl Addition {
    const ALL: [Self; 6] = [
        Self::BuildHistory,
        Self::Values,
        Self::Readme,
        Self::Dependencies,
        Self::License,
        Self::Files,
    ];

    /// Harbor's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuildHistory => "build_history",
            Self::Values => "values.yaml",
            Self::Readme => "readme.md",
            Self::Dependencies => "dependencies",
            Self::License => "license",
            Self::Files => "files",
        }
    }

    /// The addition with a name, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|addition| addition.name().eq_ignore_ascii_case(name))
    }

    /// The additions that artifacts of a type have.
    pub fn of(kind: &str, is_index: bool) -> &'static [Self] {
        match kind {
            IMAGE | "WASM" if !is_index => &[Self::BuildHistory],
            CHART => &[Self::Dependencies, Self::Readme, Self::Values],
            MODEL_KIND => &[Self::Files, Self::License, Self::Readme],
            _ => &[],
        }
    }
}

/// The type of a manifest: by its artifact type, or else by the media type of its config.
pub fn kind(manifest: &Manifest) -> String {
    let annotated = |name: &str, value: &str| {
        let found = manifest.annotations.get(name);
        found.is_some_and(|found| found == value)
    };
    let config_type = config_type(manifest);
    if annotated("module.wasm.image/variant", "compat") || annotated("run.oci.handler", "wasm") {
        return "WASM".to_owned();
    }
    if manifest.media_type.is_index() && annotated("org.opencontainers.artifactType", CNAB) {
        return "CNAB".to_owned();
    }
    let artifact_type = manifest.artifact_type.as_deref();
    artifact_type
        .and_then(registered)
        .or_else(|| registered(config_type))
        .map_or_else(|| named_by(config_type), str::to_owned)
}

/// The media type of a manifest's config; the manifest's own if it has no config.
pub fn config_type(manifest: &Manifest) -> &str {
    let config = manifest.config().map(|config| config.media_type.as_str());
    config
        .filter(|text| !text.is_empty())
        .unwrap_or(manifest.media_type.as_str())
}

fn registered(text: &str) -> Option<&'static str> {
    Some(match text {
        media_type::OCI_CONFIG
        | media_type::DOCKER_CONFIG
        | media_type::OCI_INDEX
        | media_type::DOCKER_LIST => IMAGE,
        HELM_CONFIG => CHART,
        WASM_CONFIG => "WASM",
        HARBOR_SBOM => "SBOM",
        MODEL => MODEL_KIND,
        _ => return None,
    })
}

/// The type that `application/vnd.<org>.<type>.config.<version>+json` names.
fn named_by(config_type: &str) -> String {
    let kind = || {
        let rest = config_type.strip_prefix("application/vnd.")?;
        let (_, rest) = rest.strip_suffix("+json")?.split_once('.')?;
        let (kind, version) = rest.rsplit_once(".config.")?;
        (!kind.is_empty() && !version.contains('.')).then(|| kind.to_uppercase())
    };
    kind().unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The part of a config to show, a JSON object: for an image the parts that matter to users, for others all of it.
/// `None` if it is not an object, or larger than [`LARGEST_ATTRS`].
pub fn attrs(artifact_type: Option<&str>, config_type: &str, config: &[u8]) -> Option<String> {
    let Ok(Value::Object(config)) = serde_json::from_slice(config) else {
        return None;
    };
    // An artifact with an image's config but another type is shown whole.
    let is_image = registered(artifact_type.unwrap_or(config_type)) == Some(IMAGE);
    let shown = if is_image { image(config) } else { config };
    let text = Value::Object(shown).to_string();
    (text.len() <= LARGEST_ATTRS).then_some(text)
}

fn image(mut config: Map<String, Value>) -> Map<String, Value> {
    let author = author(&config);
    let mut shown = Map::new();
    for name in ["created", "architecture", "os", "config"] {
        if let Some(value) = config.remove(name) {
            shown.insert(name.to_owned(), value);
        }
    }
    shown.insert("author".to_owned(), author.into());
    shown
}

fn author(config: &Map<String, Value>) -> String {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let labels = config.get("config").and_then(|inner| inner.get("Labels"));
    let label = |name: &str| text(labels.and_then(|labels| labels.get(name)));
    text(config.get("author"))
        .or_else(|| label("org.opencontainers.image.authors"))
        .or_else(|| label("maintainer"))
        .unwrap_or_default()
}

/// Whether a manifest of a media type lists others.
pub fn is_index(media_type: &str) -> bool {
    MediaType::parse(media_type).is_some_and(MediaType::is_index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Algorithm, Digest};

    fn kind_of(config: &str, rest: &str) -> String {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{config}","digest":"{digest}","size":1}},"layers":[]{rest}}}"#,
            media_type::OCI_MANIFEST
        );
        kind(&Manifest::parse(None, text.as_bytes()).unwrap())
    }

    #[test]
    fn types_are_harbors() {
        for (config, rest, expected) in [
            (media_type::OCI_CONFIG, "", "IMAGE"),
            (media_type::DOCKER_CONFIG, "", "IMAGE"),
            (
                media_type::OCI_CONFIG,
                r#","artifactType":"application/example.thing""#,
                "IMAGE",
            ),
            (HELM_CONFIG, "", "CHART"),
            (WASM_CONFIG, "", "WASM"),
            (
                media_type::OCI_CONFIG,
                r#","annotations":{"run.oci.handler":"wasm"}"#,
                "WASM",
            ),
            (MODEL, "", "CNAI"),
            (
                "application/vnd.oci.empty.v1+json",
                r#","artifactType":"application/vnd.cncf.model.manifest.v1+json""#,
                "CNAI",
            ),
            (HARBOR_SBOM, "", "SBOM"),
            ("application/vnd.acme.rocket.config.v1+json", "", "ROCKET"),
            ("application/vnd.acme..config.v1+json", "", "UNKNOWN"),
            ("application/vnd.oci.empty.v1+json", "", "UNKNOWN"),
            ("text/plain", "", "UNKNOWN"),
        ] {
            assert_eq!(kind_of(config, rest), expected, "{config} {rest}");
        }
    }

    #[test]
    fn an_index_is_an_image_unless_it_says_otherwise() {
        let index = |rest: &str| {
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]{rest}}}"#,
                media_type::OCI_INDEX
            );
            let manifest = Manifest::parse(None, text.as_bytes()).unwrap();
            (kind(&manifest), config_type(&manifest).to_owned())
        };
        assert_eq!(index(""), ("IMAGE".into(), media_type::OCI_INDEX.into()));
        let cnab = format!(r#","annotations":{{"org.opencontainers.artifactType":"{CNAB}"}}"#);
        assert_eq!(index(&cnab).0, "CNAB");
    }

    #[test]
    fn of_an_image_what_matters_to_users_is_shown_and_of_others_everything() {
        let config =
            br#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","history":[],
            "config":{"Cmd":["sh"],"Labels":{"maintainer":"ann"}}}"#;
        let shown = attrs(Some(media_type::OCI_CONFIG), media_type::OCI_CONFIG, config);
        assert_eq!(
            shown.unwrap(),
            r#"{"architecture":"amd64","author":"ann","config":{"Cmd":["sh"],"Labels":{"maintainer":"ann"}},"created":"2026-01-02T03:04:05Z","os":"linux"}"#
        );
        let whole = attrs(
            Some("application/example.thing"),
            media_type::OCI_CONFIG,
            config,
        );
        assert!(whole.unwrap().contains("history"));
        let chart = attrs(None, HELM_CONFIG, br#"{"name":"nginx"}"#);
        assert_eq!(chart.as_deref(), Some(r#"{"name":"nginx"}"#));
    }

    #[test]
    fn a_broken_or_large_config_is_not_shown() {
        let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(LARGEST_ATTRS));
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let deep = format!(r#"{{"a":{deep}}}"#);
        for config in ["", "null", "[1]", "{", &large, &deep] {
            assert_eq!(attrs(None, HELM_CONFIG, config.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,60}") {
            let _ = attrs(Some(&text), &text, &bytes);
            let _ = named_by(&text);
            let _ = Addition::from_name(&text);
        }
    }
}
