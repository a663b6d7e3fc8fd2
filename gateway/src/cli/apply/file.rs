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
        match documents_of(&path, folder) {
            Ok(read) => {
                for document in read {
                    match document {
                        Ok(document) => good.push(document),
                        Err(error) => bad.push(error),
                    }
                }
            }
            Err(error) => bad.push(error),
        }
    }
    if good.is_empty() && bad.is_empty() {
        let folder = folder.display();
        bad.push(anyhow::anyhow!("no file in {folder} ends in .yaml or .yml"));
    }
    bad.extend(twice(&good));
    if bad.is_empty() {
        good.sort_by_key(|document| document.object.kind());
        Ok(good)
    } else {
        Err(bad)
    }
}

/// The paths of files and folders that are named like files, by name.
fn paths(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|it| it == "yaml" || it == "yml");
        if is_yaml {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The documents of a file, at least one; none of a folder. What `--prune` removes depends on all files: one that cannot
/// be read, or has nothing in it, is not passed over.
fn documents_of(path: &Path, folder: &Path) -> anyhow::Result<Vec<anyhow::Result<Document>>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let cannot = || format!("cannot read {}", path.display());
    let kind = fs::metadata(path).with_context(cannot)?.file_type();
    if kind.is_dir() {
        return Ok(Vec::new());
    }
    anyhow::ensure!(kind.is_file(), "{name}: is no file");
    let text = fs::read_to_string(path).with_context(cannot)?;
    let documents = documents(&name, &text, folder);
    anyhow::ensure!(
        !documents.is_empty(),
        "{name}: there is no document in it: write one, or remove the file"
    );
    Ok(documents)
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

/// Objects, and files for secrets, that two documents name.
fn twice(documents: &[Document]) -> Vec<anyhow::Error> {
    let mut objects: BTreeMap<_, &str> = BTreeMap::new();
    let mut files: BTreeMap<&Path, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for document in documents {
        let (object, place) = (&document.object, &*document.place);
        let title = object.title();
        let key = (object.kind(), object.project(), title.clone());
        if let Some(first) = objects.get(&key) {
            errors.push(anyhow::anyhow!(
                "{place}: {title} is in {first} already: remove one of them"
            ));
            continue;
        }
        objects.insert(key, place);
        if let Some(file) = object.secret_file()
            && let Some(first) = files.insert(file, place)
        {
            let file = file.display();
            errors.push(anyhow::anyhow!(
                "{place}: secret_file: {file} is in {first} already: write another one"
            ));
        }
    }
    errors
}

#[cfg(test)]
mod tests;
