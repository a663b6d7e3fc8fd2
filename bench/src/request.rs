//! What wrk asks a server for, after our own client has pushed it.

use std::path::Path;

use testkit::content::Blob;
use testkit::meter::wait;
use testkit::registry::{Image, Registry, Way};
use testkit::scratch::write;
use testkit::target::Target;

/// A path with headers.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
}

/// What is pushed and then read.
#[derive(Clone, Copy)]
pub(crate) enum Seed {
    /// A blob of so many bytes.
    Blob(u64),
    /// The manifest of a small image, padded, by its tag.
    Manifest,
}

impl Request {
    /// Pushes what will be read to `bench/CASE`, and into the file `out`, and returns the request for it.
    pub(crate) fn seed(
        target: &Target,
        case: &str,
        seed: Seed,
        out: Option<&Path>,
    ) -> Result<Self, String> {
        wait(async {
            let repository = format!("bench/{case}");
            let registry = Registry::new(target)?;
            registry.make_project_of(&repository).await?;
            let (path, bytes) = match seed {
                Seed::Blob(size) => {
                    let blob = Blob::random(size);
                    registry.push_blob(&repository, &blob, Way::Put).await?;
                    registry.pull_blob(&repository, &blob.digest).await?;
                    (format!("blobs/{}", blob.digest), blob.pieces().concat())
                }
                Seed::Manifest => {
                    let padding =
                        serde_json::json!({ "annotations": { "padding": "x".repeat(1600) } });
                    let image = Image::with(Blob::config(1024), &[Blob::random(2048)], &padding);
                    registry
                        .push_image(&repository, "bench", &image, Way::Put)
                        .await?;
                    let pulled = registry.pull_manifest(&repository, "bench").await?;
                    if pulled.digest != image.manifest.digest {
                        return Err(format!("pulled {} instead", pulled.digest));
                    }
                    ("manifests/bench".to_owned(), pulled.bytes.to_vec())
                }
            };
            if let Some(out) = out {
                write(out, bytes)?;
            }
            let mut headers = vec![format!("Accept: {}", testkit::layout::MANIFEST)];
            let authorization = registry.authorization(&repository).await?;
            if !authorization.is_empty() {
                headers.push(format!("Authorization: {authorization}"));
            }
            Ok(Self {
                path: format!("/v2/{repository}/{path}"),
                headers,
            })
        })
    }
}
