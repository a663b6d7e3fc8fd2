//! Accessories: manifests that belong to another one, their subject, and are listed with it. The kinds are Harbor's.

use crate::{Algorithm, Digest, Manifest, Tag, media_type};

/// The media type of cosign's layers in a signature that names its subject by its tag.
pub const COSIGN_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const NOTATION_SIGNATURE: &str = "application/vnd.cncf.notary.signature";
const HARBOR_SBOM: &str = "application/vnd.goharbor.harbor.sbom.v1";

/// What an accessory is to its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessoryKind {
    /// A signature by cosign.
    Cosign,
    /// A signature by notation.
    Notation,
    /// A Nydus image of the same content.
    Nydus,
    /// An SBOM as Harbor makes them.
    HarborSbom,
    /// Anything else with a subject.
    Other,
}

impl AccessoryKind {
    /// Harbor's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosign => "signature.cosign",
            Self::Notation => "signature.notation",
            Self::Nydus => "accelerator.nydus",
            Self::HarborSbom => "sbom.harbor",
            Self::Other => "subject.accessory",
        }
    }

    /// The kind of a manifest with a subject.
    pub fn of(manifest: &Manifest) -> Self {
        match manifest.artifact_type.as_deref() {
            Some(COSIGN_SIGNATURE | SIGSTORE_BUNDLE) => Self::Cosign,
            Some(NOTATION_SIGNATURE) => Self::Notation,
            Some(HARBOR_SBOM) => Self::HarborSbom,
            Some(media_type::OCI_CONFIG | media_type::DOCKER_CONFIG) if manifest.is_nydus => {
                Self::Nydus
            }
            _ => Self::Other,
        }
    }
}

/// The subject that a tag names by cosign's scheme for signatures: `sha256-<hex>.sig`. Tags of attestations and SBOMs
/// (`.att`, `.sbom`) name none, as in Harbor.
pub fn signed_by(tag: &Tag) -> Option<Digest> {
    let hash = tag.as_str().strip_prefix("sha256-")?.strip_suffix(".sig")?;
    let digest: Digest = format!("sha256:{hash}").parse().ok()?;
    (digest.algorithm() == Algorithm::Sha256).then_some(digest)
}

/// The manifest that a tag of a referrer names: `sha256-<hex>`, and perhaps a dot and more. By such tags clients find
/// signatures, attestations, SBOMs and lists of referrers.
pub fn referred_by(tag: &Tag) -> Option<Digest> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let (hash, kind) = rest.split_at_checked(64)?;
    let is_scheme = kind.is_empty() || kind.starts_with('.');
    format!("sha256:{}", hash.to_ascii_lowercase())
        .parse()
        .ok()
        .filter(|_| is_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(rest: &str) -> AccessoryKind {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","subject":{{"mediaType":"x","digest":"{digest}","size":1}},{}}}"#,
            media_type::OCI_MANIFEST,
            rest.replace("DIGEST", &digest.to_string())
        );
        AccessoryKind::of(&Manifest::parse(None, text.as_bytes()).unwrap())
    }

    fn with_config(config: &str) -> AccessoryKind {
        kind(&format!(
            r#""config":{{"mediaType":"{config}","digest":"DIGEST","size":1}}"#
        ))
    }

    #[test]
    fn kinds_are_told_by_the_artifact_type_or_the_configs() {
        for (config, expected) in [
            (COSIGN_SIGNATURE, AccessoryKind::Cosign),
            (SIGSTORE_BUNDLE, AccessoryKind::Cosign),
            (NOTATION_SIGNATURE, AccessoryKind::Notation),
            (HARBOR_SBOM, AccessoryKind::HarborSbom),
            (media_type::OCI_CONFIG, AccessoryKind::Other),
        ] {
            assert_eq!(with_config(config), expected, "{config}");
            let typed = format!(
                r#""artifactType":"{config}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"DIGEST","size":2}}"#
            );
            assert_eq!(kind(&typed), expected, "{config}");
        }
    }

    #[test]
    fn an_image_is_nydus_by_its_last_layer() {
        let layers = |last: &str| {
            format!(
                r#""config":{{"mediaType":"{}","digest":"DIGEST","size":1}},"layers":[
                {{"mediaType":"x","digest":"DIGEST","size":1,"annotations":{{"a":"b"}}}},
                {{"mediaType":"x","digest":"DIGEST","size":1,"annotations":{{"{last}":"true","z":"1"}}}}]"#,
                media_type::OCI_CONFIG
            )
        };
        let nydus = kind(&layers("containerd.io/snapshot/nydus-bootstrap"));
        assert_eq!(nydus, AccessoryKind::Nydus);
        assert_eq!(kind(&layers("other")), AccessoryKind::Other);
    }

    #[test]
    fn only_a_signatures_tag_names_a_subject() {
        let hash = "0123456789abcdef".repeat(4);
        let subject = |text: &str| signed_by(&text.parse().unwrap());
        assert_eq!(
            subject(&format!("sha256-{hash}.sig")),
            format!("sha256:{hash}").parse().ok()
        );
        for kind in ["", ".sig", ".att", ".sbom"] {
            let tag = format!("sha256-{hash}{kind}").parse().unwrap();
            let named = referred_by(&tag);
            assert_eq!(named, format!("sha256:{hash}").parse().ok(), "{tag}");
        }
        for tag in [format!("sha256-{hash}x"), format!("sha256-{}", &hash[1..])] {
            assert_eq!(referred_by(&tag.parse().unwrap()), None, "{tag}");
        }
        for tag in [
            format!("sha256-{hash}.att"),
            format!("sha256-{hash}.sbom"),
            format!("sha256-{hash}"),
            format!("sha256-{}.sig", &hash[1..]),
            "v1.sig".to_owned(),
        ] {
            assert_eq!(subject(&tag), None, "{tag}");
        }
    }
}
