//! The few blobs and manifests that a walk pushes.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::{media, noise, sha256};

/// A blob, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blob {
    /// The config of every image.
    Config,
    /// A layer of one image.
    Small,
    /// A layer of two images.
    Shared,
    /// Too large for the cache of small blobs.
    Medium,
    /// Too large to come without an upload session.
    Large,
    /// A layer whose descriptors carry `urls`.
    Elsewhere,
}

impl Blob {
    pub(crate) const ALL: [Self; 6] = [
        Self::Config,
        Self::Small,
        Self::Shared,
        Self::Medium,
        Self::Large,
        Self::Elsewhere,
    ];

    pub(crate) fn bytes(self) -> Bytes {
        BLOBS[self as usize].0.clone()
    }

    pub(crate) fn digest(self) -> &'static str {
        &BLOBS[self as usize].1
    }

    pub(crate) fn size(self) -> u64 {
        BLOBS[self as usize].0.len() as u64
    }

    /// How many bytes an upload in pieces sends at a time.
    pub(crate) fn piece(self) -> u64 {
        self.size().div_ceil(3)
    }

    fn descriptor(self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest(), "size": self.size() })
    }

    fn with_urls(self, media_type: &str) -> Value {
        let mut descriptor = self.descriptor(media_type);
        descriptor["urls"] = json!(["https://elsewhere.example/layer"]);
        descriptor
    }
}

static BLOBS: LazyLock<[(Bytes, String); 6]> = LazyLock::new(|| {
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
    let bytes = [
        config.to_string().into(),
        noise("small", 700),
        noise("shared", 3_000),
        noise("medium", 40_000),
        noise("large", 300_000),
        noise("elsewhere", 1_100),
    ];
    bytes.map(|bytes| {
        let digest = sha256(&bytes);
        (bytes, digest)
    })
});

/// A manifest, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manifest {
    ImageA,
    ImageB,
    /// Lists both images.
    Index,
    /// Its subject is the first image.
    Referrer,
    /// Has a docker foreign layer.
    DockerForeign,
    /// Has an OCI nondistributable layer.
    Nondistributable,
    /// Has a layer of an ordinary type that carries `urls`.
    WithUrls,
}

/// What a manifest is made of.
pub(crate) struct Facts {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) digest: String,
    /// All blobs that it names.
    pub(crate) blobs: Vec<Blob>,
    /// Those of them that may be missing.
    pub(crate) optional: Vec<Blob>,
    /// Manifests that it lists.
    pub(crate) children: Vec<Manifest>,
    pub(crate) subject: Option<Manifest>,
}

impl Manifest {
    pub(crate) const ALL: [Self; 7] = [
        Self::ImageA,
        Self::ImageB,
        Self::Index,
        Self::Referrer,
        Self::DockerForeign,
        Self::Nondistributable,
        Self::WithUrls,
    ];

    pub(crate) fn facts(self) -> &'static Facts {
        &MANIFESTS[self as usize]
    }

    fn descriptor(self) -> Value {
        describe(&self.build())
    }

    fn build(self) -> Facts {
        use Blob::{Config, Elsewhere, Large, Medium, Shared, Small};
        const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        const NONDISTRIBUTABLE: &str =
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        match self {
            Self::ImageA => image(&[Small, Shared], json!({})),
            Self::ImageB => image(&[Shared, Medium, Large], json!({})),
            Self::Index => {
                let children = vec![Self::ImageA, Self::ImageB];
                let listed: Vec<Value> = children.iter().map(|child| child.descriptor()).collect();
                let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": listed });
                Facts {
                    children,
                    ..facts(media::OCI_INDEX, &index, vec![])
                }
            }
            Self::Referrer => Facts {
                subject: Some(Self::ImageA),
                ..image(
                    &[Small],
                    json!({ "subject": Self::ImageA.descriptor(), "artifactType": "test/signature" }),
                )
            },
            Self::DockerForeign => {
                let manifest = json!({ "schemaVersion": 2, "mediaType": media::DOCKER_MANIFEST,
                    "config": Config.descriptor("application/vnd.docker.container.image.v1+json"),
                    "layers": [Elsewhere.with_urls(FOREIGN)] });
                Facts {
                    optional: vec![Elsewhere],
                    ..facts(media::DOCKER_MANIFEST, &manifest, vec![Config, Elsewhere])
                }
            }
            Self::Nondistributable => Facts {
                optional: vec![Elsewhere],
                ..image_of(
                    vec![Elsewhere.with_urls(NONDISTRIBUTABLE)],
                    vec![Config, Elsewhere],
                    json!({}),
                )
            },
            Self::WithUrls => image_of(
                vec![Elsewhere.with_urls(media::OCI_LAYER)],
                vec![Config, Elsewhere],
                json!({}),
            ),
        }
    }
}

static MANIFESTS: LazyLock<[Facts; 7]> = LazyLock::new(|| Manifest::ALL.map(Manifest::build));

fn image(layers: &[Blob], fields: Value) -> Facts {
    let described = layers
        .iter()
        .map(|layer| layer.descriptor(media::OCI_LAYER));
    let blobs = std::iter::once(Blob::Config).chain(layers.iter().copied());
    image_of(described.collect(), blobs.collect(), fields)
}

fn image_of(layers: Vec<Value>, blobs: Vec<Blob>, fields: Value) -> Facts {
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": Blob::Config.descriptor(media::OCI_CONFIG), "layers": layers });
    for (key, value) in fields.as_object().into_iter().flatten() {
        manifest[key] = value.clone();
    }
    facts(media::OCI_MANIFEST, &manifest, blobs)
}

fn facts(media_type: &'static str, manifest: &Value, blobs: Vec<Blob>) -> Facts {
    let bytes = Bytes::from(manifest.to_string());
    Facts {
        media_type,
        digest: sha256(&bytes),
        bytes,
        blobs,
        optional: vec![],
        children: vec![],
        subject: None,
    }
}

fn describe(facts: &Facts) -> Value {
    json!({ "mediaType": facts.media_type, "digest": facts.digest, "size": facts.bytes.len() })
}
