//! The files: all are read and checked before anything is compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize as _;
use serde_norway::Deserializer;

use super::object::{KINDS, Object};

/// An object, and where it stands.
#[derive(Debug)]
pub(super) struct Document {
    /// Such as `team.yaml, document 2`.
    place: String,
    /// What it says.
    pub(super) object: Object,
}

impl Document {
    /// An error about the object, with its place and title.
    pub(super) fn failed(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("{} ({})", self.place, self.object.title()))
    }
}

/// What a document must have.
#[derive(serde::Deserialize)]
#[serde(expecting = "fields, of which one is kind")]
struct Head {
    kind: Option<String>,
}

/// The objects of all files in a folder, in the order in which they are made; or all that is wrong.
pub(super) fn read(folder: &Path) -> Result<Vec<Document>, Vec<anyhow::Error>> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for path in paths(folder).map_err(|error| vec![error])? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path);
        match text.with_context(|| format!("cannot read {}", path.display())) {
            Ok(text) => {
                for read in documents(&name, &text, folder) {
                    match read {
                        Ok(document) => good.push(document),
                        Err(error) => bad.push(error),
                    }
                }
            }
            Err(error) => bad.push(error),
        }
    }
    bad.extend(twice(&good));
    if bad.is_empty() {
        good.sort_by_key(|document| document.object.kind());
        Ok(good)
    } else {
        Err(bad)
    }
}

/// The paths of the files, by name.
fn paths(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|it| it == "yaml" || it == "yml");
        if is_yaml && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        anyhow::bail!("no file in {} ends in .yaml or .yml", folder.display());
    }
    paths.sort();
    Ok(paths)
}

/// The documents of a file; a part of a file that is no YAML ends it.
fn documents(name: &str, text: &str, folder: &Path) -> Vec<anyhow::Result<Document>> {
    let both = Deserializer::from_str(text).zip(Deserializer::from_str(text));
    let mut documents = Vec::new();
    for (at, (head, body)) in (1..).zip(both) {
        let place = format!("{name}, document {at}");
        let kind = match Option::<Head>::deserialize(head) {
            Ok(Some(Head { kind: Some(kind) })) => kind,
            Ok(Some(Head { kind: None })) => {
                let missing = anyhow::anyhow!("{place}: kind: is missing: write {KINDS}");
                documents.push(Err(missing));
                continue;
            }
            // Nothing between two lines of `---`.
            Ok(None) => continue,
            Err(error) => {
                documents.push(Err(anyhow::Error::new(error).context(place)));
                break;
            }
        };
        documents.push(match Object::read(&kind, body, folder) {
            Ok(object) => Ok(Document { place, object }),
            Err(error) => Err(error.context(format!("{place} ({kind})"))),
        });
    }
    documents
}

/// Objects that two documents name.
fn twice(documents: &[Document]) -> Vec<anyhow::Error> {
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for document in documents {
        let (title, place) = (document.object.title(), &document.place);
        if let Some(first) = places.get(&title) {
            errors.push(anyhow::anyhow!(
                "{place}: {title} is in {first} already: remove one of them"
            ));
        } else {
            places.insert(title, place);
        }
    }
    errors
}

#[cfg(test)]
mod tests;
