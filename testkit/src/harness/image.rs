//! Images, indexes and bytes to push, and the sentences that push them.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use super::client::{Answer, Client};
use super::media;

pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

pub fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(Sha512::digest(bytes)))
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(seed: &str, length: usize) -> Bytes {
    let start = Sha256::digest(seed.as_bytes());
    let mut state = start
        .iter()
        .take(8)
        .fold(1_u64, |state, byte| (state << 8) | u64::from(*byte))
        | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: String,
    pub bytes: Bytes,
}

impl Blob {
    pub fn new(bytes: Bytes) -> Self {
        Self {
            digest: sha256(&bytes),
            bytes,
        }
    }

    pub fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A manifest with everything that it names.
#[derive(Clone, Debug)]
pub struct Image {
    pub media_type: String,
    pub digest: String,
    pub manifest: Bytes,
    pub config: Blob,
    pub layers: Vec<Blob>,
}

/// A small OCI image; another seed gives other digests throughout.
pub fn image(seed: &str) -> Image {
    Image::build(seed, json!({}))
}

/// An OCI index of these images.
pub fn index_of(images: &[&Image]) -> (String, Bytes) {
    let manifests: Vec<Value> = images.iter().map(|image| image.descriptor()).collect();
    let index =
        json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests });
    let bytes = Bytes::from(index.to_string());
    (sha256(&bytes), bytes)
}

impl Image {
    /// An image with these fields on top, such as a `subject`.
    pub fn build(seed: &str, fields: Value) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "author": seed,
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = Blob::new(config.to_string().into());
        let layers = vec![
            Blob::new(noise(seed, 2000)),
            Blob::new(noise(&format!("{seed}, second"), 300)),
        ];
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::OCI_MANIFEST,
            "config": config.descriptor(media::OCI_CONFIG),
            "layers": layers.iter().map(|layer| layer.descriptor(media::OCI_LAYER)).collect::<Vec<_>>(),
        });
        for (key, value) in fields.as_object().expect("the fields are an object") {
            manifest[key] = value.clone();
        }
        let media_type = manifest["mediaType"]
            .as_str()
            .expect("a manifest has a media type")
            .to_owned();
        let manifest = Bytes::from(manifest.to_string());
        Self {
            media_type,
            digest: sha256(&manifest),
            manifest,
            config,
            layers,
        }
    }

    /// A referrer: an image about this one, of this artifact type.
    pub fn about(&self, seed: &str, artifact_type: &str) -> Self {
        let fields = json!({ "subject": self.descriptor(), "artifactType": artifact_type,
            "annotations": { "about": seed } });
        Self::build(seed, fields)
    }

    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.manifest.len() })
    }

    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

impl Client {
    /// POST and PUT of a whole blob; gives its digest.
    pub async fn push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        let upload = self.start_upload(repository).await;
        let path = upload.location_with(&format!("digest={digest}"));
        self.put(&path)
            .content_type("application/octet-stream")
            .body(bytes)
            .await
            .expect(201);
        digest
    }

    /// POST that opens an upload session.
    pub async fn start_upload(&self, repository: &str) -> Answer {
        self.post(&format!("/v2/{repository}/blobs/uploads/"))
            .await
            .expect(202)
    }

    pub async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.put(&path).content_type(media_type).body(bytes).await
    }

    /// Pushes blobs and manifest under this tag or digest.
    pub async fn push_image(&self, repository: &str, reference: &str, image: &Image) {
        for blob in image.blobs() {
            self.push_blob(repository, blob.bytes.clone()).await;
        }
        let pushed = self
            .push_manifest(
                repository,
                reference,
                &image.media_type,
                image.manifest.clone(),
            )
            .await;
        assert_eq!(
            pushed.expect(201).digest(),
            image.digest,
            "the digest that Gantry found"
        );
    }
}
