//! OCI image layouts made here, byte by byte, so that the tests know every digest beforehand.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cmd::Cmd;
use crate::scratch::{make_folder, read, write};

/// What stands for a blob in a manifest.
#[derive(Clone)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    /// More members of the JSON object, each with its comma in front.
    more: String,
}

impl Descriptor {
    pub fn json(&self) -> String {
        format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{}{}}}"#,
            self.media_type, self.digest, self.size, self.more
        )
    }

    pub fn with(mut self, member: &str) -> Self {
        self.more.push(',');
        self.more.push_str(member);
        self
    }
}

/// A layout folder.
pub struct Layout {
    folder: PathBuf,
    entries: Vec<String>,
}

impl Layout {
    pub fn new(folder: &Path) -> Result<Self, String> {
        make_folder(&folder.join("blobs/sha256"))?;
        write(
            &folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            entries: Vec::new(),
        })
    }

    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, String> {
        let file = self.folder.join("blob.part");
        write(&file, bytes)?;
        self.blob_file(media_type, &file)
    }

    /// Takes a file as a blob; the file itself is moved.
    pub fn blob_file(&self, media_type: &str, file: &Path) -> Result<Descriptor, String> {
        let digest = digest_of_file(file)?;
        let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
        let hex = digest.trim_start_matches("sha256:");
        fs::rename(file, self.folder.join("blobs/sha256").join(hex))
            .map_err(|error| format!("cannot move {}: {error}", file.display()))?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            more: String::new(),
        })
    }

    /// An image: its layers with the digests of their uncompressed content.
    pub fn image(
        &self,
        architecture: &str,
        layers: &[(Descriptor, String)],
    ) -> Result<Descriptor, String> {
        let diff_ids: Vec<String> = layers.iter().map(|(_, id)| format!("\"{id}\"")).collect();
        let history = vec![r#"{"created_by":"gantry test"}"#; layers.len()].join(",");
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{{"Cmd":["/hello"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{history}]}}"#,
            diff_ids.join(",")
        );
        let config = self.blob(IMAGE_CONFIG, config.as_bytes())?;
        let layers: Vec<Descriptor> = layers.iter().map(|(layer, _)| layer.clone()).collect();
        self.manifest(&config, &layers, "")
    }

    /// A manifest of any kind; `more` holds further members, each with its comma in front.
    pub fn manifest(
        &self,
        config: &Descriptor,
        layers: &[Descriptor],
        more: &str,
    ) -> Result<Descriptor, String> {
        let layers: Vec<String> = layers.iter().map(Descriptor::json).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]{more}}}"#,
            config.json(),
            layers.join(",")
        );
        self.blob(MANIFEST, manifest.as_bytes())
    }

    pub fn index(&self, entries: &[Descriptor]) -> Result<Descriptor, String> {
        let entries: Vec<String> = entries.iter().map(Descriptor::json).collect();
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
            entries.join(",")
        );
        self.blob(INDEX, index.as_bytes())
    }

    /// Lists a manifest in the layout's own index, by a tag or without one.
    pub fn list(&mut self, entry: &Descriptor, tag: Option<&str>) -> Result<(), String> {
        let entry = match tag {
            None => entry.json(),
            Some(tag) => entry
                .clone()
                .with(&format!(
                    r#""annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}"#
                ))
                .json(),
        };
        self.entries.push(entry);
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            self.entries.join(",")
        );
        write(&self.folder.join("index.json"), index)
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The digest of some bytes, by the system's own program: a second opinion beside Gantry's.
pub fn digest(bytes: &[u8]) -> Result<String, String> {
    first_word(Cmd::new("sha256sum").input(bytes).output()?)
}

/// The digest of a file's content.
pub fn digest_of_file(file: &Path) -> Result<String, String> {
    first_word(Cmd::new("sha256sum").arg(file).output()?)
}

fn first_word(output: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output).into_owned();
    match text.split_whitespace().next() {
        Some(hex) => Ok(format!("sha256:{}", hex.trim_start_matches('\\'))),
        None => Err("sha256sum said nothing".to_owned()),
    }
}

/// The digest of the manifest that a layout lists, be it one of ours or one that a client wrote.
pub fn listed_digest(layout: &Path) -> Result<String, String> {
    let index = read(&layout.join("index.json"))?;
    let index = String::from_utf8_lossy(&index).into_owned();
    let digest =
        digest_in(&index).ok_or(format!("no digest in {}/index.json", layout.display()))?;
    let hex = digest.trim_start_matches("sha256:");
    let real = digest_of_file(&layout.join("blobs/sha256").join(hex))?;
    if real == digest {
        return Ok(digest);
    }
    Err(format!("{} holds {real} as {digest}", layout.display()))
}

/// The first sha256 digest in a text.
pub fn digest_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("sha256:")?;
    let hex: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (hex.len() == 64).then(|| format!("sha256:{hex}"))
}

#[cfg(test)]
mod tests {
    use super::{Layout, MANIFEST, digest, digest_in, listed_digest};
    use crate::scratch::Scratch;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let known = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b"").as_deref(), Ok(known));
        assert_eq!(digest_in(&format!("x: {known}, y")).as_deref(), Some(known));
        assert_eq!(digest_in("sha256:e3b0"), None);
    }

    #[test]
    fn a_layout_lists_what_was_put_in() {
        let scratch = Scratch::new("layout").unwrap();
        let mut layout = Layout::new(scratch.path()).unwrap();
        let manifest = layout.blob(MANIFEST, b"{}").unwrap();
        layout.list(&manifest, Some("1.0")).unwrap();
        assert_eq!(listed_digest(scratch.path()), Ok(manifest.digest));
    }
}
