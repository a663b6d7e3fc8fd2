//! The files of a model (ModelPack): each layer names one by an annotation.

use std::collections::BTreeMap;

use model::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::archive::Packing;

/// Annotations that name the file of a layer; the second is that of early versions.
const PATHS: [&str; 2] = ["org.cncf.model.filepath", "org.cnai.model.filepath"];

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: i64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Layer {
    fn path(&self) -> Option<&str> {
        let mut paths = PATHS.iter().filter_map(|name| self.annotations.get(*name));
        paths.next().map(String::as_str)
    }

    fn packing(&self) -> Packing {
        match self.media_type.rsplit('.').next().unwrap_or_default() {
            "tar" => Packing::Tar,
            "tar+gzip" => Packing::TarGzip,
            _ => Packing::Plain,
        }
    }
}

fn layers(payload: &[u8]) -> Vec<Layer> {
    let document: Document = serde_json::from_slice(payload).unwrap_or_default();
    document.layers
}

/// The layer of the document with one of the given lower-case names.
pub(super) fn document(payload: &[u8], names: &[&str]) -> Option<(Digest, Packing)> {
    let is_it = |layer: &Layer| {
        let name = layer.path()?.rsplit('/').next()?.to_lowercase();
        Some(layer.media_type.contains(".doc.") && names.contains(&name.as_str()))
    };
    let layers = layers(payload);
    let found = layers.iter().find(|layer| is_it(layer) == Some(true))?;
    Some((found.digest.parse().ok()?, found.packing()))
}

/// A folder, by the names in it.
#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: BTreeMap<String, i64>,
}

/// Maximum depth of folders to show; deeper files are shown by path.
const DEPTH: usize = 32;

/// The files as a tree, as Harbor shows them.
pub(super) fn tree(payload: &[u8]) -> Value {
    let mut root = Folder::default();
    for layer in layers(payload) {
        if let Some(path) = layer.path() {
            root.add(path, layer.size);
        }
    }
    Value::Array(root.list())
}

impl Folder {
    fn add(&mut self, path: &str, size: i64) {
        let mut parts: Vec<&str> = path
            .splitn(DEPTH, '/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        let Some(name) = parts.pop() else { return };
        let mut folder = self;
        for part in parts {
            folder = folder.folders.entry(part.to_owned()).or_default();
        }
        folder.files.insert(name.to_owned(), size);
    }

    fn list(&self) -> Vec<Value> {
        let folders = self.folders.iter().map(
            |(name, folder)| json!({"name": name, "type": "directory", "children": folder.list()}),
        );
        let files = self.files.iter();
        let files = files.map(|(name, size)| json!({"name": name, "type": "file", "size": size}));
        folders.chain(files).collect()
    }
}

#[cfg(test)]
mod tests {
    use model::Algorithm;

    use super::*;

    fn payload() -> (Vec<u8>, Digest) {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let layer = |kind: &str, path: &str| {
            json!({"mediaType": format!("application/vnd.cncf.model.{kind}"), "digest": digest.to_string(),
                   "size": 7, "annotations": {"org.cncf.model.filepath": path}})
        };
        let layers = [
            layer("weight.v1.raw", "weights/a/model.safetensors"),
            layer("doc.v1.tar", "README.md"),
        ];
        let payload = json!({"schemaVersion": 2, "layers": layers});
        (payload.to_string().into_bytes(), digest)
    }

    #[test]
    fn documents_are_found_by_their_names() {
        let (payload, digest) = payload();
        let found = document(&payload, &["readme.md"]);
        assert_eq!(found, Some((digest, Packing::Tar)));
        assert_eq!(document(&payload, &["license"]), None);
        assert_eq!(document(b"{", &["license"]), None);
    }

    #[test]
    fn files_are_a_tree() {
        let shown = json!([
            {"name": "weights", "type": "directory", "children": [
                {"name": "a", "type": "directory", "children": [
                    {"name": "model.safetensors", "type": "file", "size": 7}]}]},
            {"name": "README.md", "type": "file", "size": 7}]);
        assert_eq!(tree(&payload().0), shown);
        assert_eq!(tree(b""), json!([]));
    }
}
