//! What wrk asks a server for, after our own client has pushed it.

use std::path::Path;

use testkit::cmd::succeed;
use testkit::load::{Load, word_of};
use testkit::target::Target;

/// A path with headers.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
}

impl Request {
    /// Pushes what will be read to `bench/CASE` and returns the request for it.
    pub(crate) fn seed(
        load: &Load,
        target: &Target,
        case: &str,
        seed: &[&str],
        out: Option<&Path>,
    ) -> Result<Self, String> {
        let repository = format!("bench/{case}");
        let mut args: Vec<&str> = vec!["seed", "-repository", &repository];
        args.extend(seed);
        let out = out.map(|path| path.display().to_string());
        if let Some(out) = &out {
            args.extend(["-out", out]);
        }
        let text = succeed(&mut load.command(target, None, &args))?;
        let digest = word_of(&text, "digest").ok_or("the load client named no digest")?;
        let path = if seed.contains(&"-tag") {
            "manifests/bench".to_owned()
        } else {
            format!("blobs/{digest}")
        };
        let mut headers = vec!["Accept: application/vnd.oci.image.manifest.v1+json".to_owned()];
        let authorization = word_of(&text, "authorization").filter(|value| !value.is_empty());
        headers.extend(authorization.map(|value| format!("Authorization: {value}")));
        Ok(Self {
            path: format!("/v2/{repository}/{path}"),
            headers,
        })
    }

    /// What a blob's path ends with.
    pub(crate) fn digest(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}
