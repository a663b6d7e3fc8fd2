//! Media types of manifests that this registry supports.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI artifact manifest, of the 1.1 release candidates.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Configuration of an OCI image.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Configuration of a Docker image.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The media type of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// OCI image manifest.
    OciManifest,
    /// OCI image index.
    OciIndex,
    /// OCI artifact manifest.
    OciArtifact,
    /// Docker schema 2 manifest.
    DockerManifest,
    /// Docker manifest list.
    DockerList,
}

impl MediaType {
    /// The type named by `text`, ignoring parameters such as `; charset=utf-8`.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.split(';').next().unwrap_or_default().trim();
        Some(match bare {
            OCI_MANIFEST => Self::OciManifest,
            OCI_INDEX => Self::OciIndex,
            OCI_ARTIFACT => Self::OciArtifact,
            DOCKER_MANIFEST => Self::DockerManifest,
            DOCKER_LIST => Self::DockerList,
            _ => return None,
        })
    }

    /// The registered text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciManifest => OCI_MANIFEST,
            Self::OciIndex => OCI_INDEX,
            Self::OciArtifact => OCI_ARTIFACT,
            Self::DockerManifest => DOCKER_MANIFEST,
            Self::DockerList => DOCKER_LIST,
        }
    }

    /// True if the manifest lists other manifests.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

/// True if registries need not have a layer of this type: Docker's foreign layers and OCI's non-distributable ones
/// (image specification, "Non-Distributable Layers").
pub fn is_foreign(text: &str) -> bool {
    const PREFIXES: [&str; 2] = [
        "application/vnd.docker.image.rootfs.foreign.",
        "application/vnd.oci.image.layer.nondistributable.",
    ];
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}
