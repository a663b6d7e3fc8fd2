//! Objects in a store of files, as a test finds and leaves them.

use std::fs;
use std::path::{Path, PathBuf};

/// Where each object of a store is.
pub fn objects(store: &Path) -> Vec<PathBuf> {
    // What is no folder is no hour.
    entries(store)
        .iter()
        .flat_map(|hour| entries(hour))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect()
}

/// Writes an object that no row names, in this hour's folder and with the name of this number.
pub fn unnamed(store: &Path, hour: i64, number: u64) -> PathBuf {
    let folder = store.join(hour.to_string());
    fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(format!("{number:040x}"));
    fs::write(&path, b"bytes").expect("the file can be written");
    path
}
