//! A folder for one run, gone afterwards.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A new folder, removed with all it holds when dropped, unless `GANTRY_TEST_KEEP` is set for someone who wants to
/// look into it.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder where the system keeps temporary ones.
    pub fn new(name: &str) -> Result<Self, String> {
        Self::below(&env::temp_dir(), name)
    }

    /// Makes a folder below `parent`.
    pub fn below(parent: &Path, name: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("gantry-{name}-{}-{number}", process::id()));
        make_folder(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside, whether it exists or not.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new folder inside.
    pub fn folder(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        make_folder(&path)?;
        Ok(path)
    }

    /// Leaves the folder behind, as evidence.
    pub fn keep(self) -> PathBuf {
        let mut this = std::mem::ManuallyDrop::new(self);
        std::mem::take(&mut this.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if env::var_os("GANTRY_TEST_KEEP").is_some() {
            println!("kept: {}", self.0.display());
            return;
        }
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Creates a folder with its parents.
pub fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("cannot create {}: {error}", path.display()))
}

/// Writes a file whole.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads a file whole.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Every file below a folder with its size, by its path from there. What goes while this looks is left out.
pub fn files_below(folder: &Path) -> Result<BTreeMap<String, u64>, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(meta) => {
                    let name = path.strip_prefix(folder).unwrap_or(&path);
                    files.insert(name.to_string_lossy().into_owned(), meta.len());
                }
                Err(_) => {}
            }
        }
    }
    if !folder.is_dir() {
        return Err(format!("{} is not there", folder.display()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{Scratch, files_below, write};

    #[test]
    fn files_are_found_at_every_depth() {
        let scratch = Scratch::new("files").unwrap();
        scratch.folder("a/b").unwrap();
        write(&scratch.join("a/b/two"), "12").unwrap();
        write(&scratch.join("none"), "").unwrap();
        let found = files_below(scratch.path()).unwrap();
        let expected = [("a/b/two".to_owned(), 2), ("none".to_owned(), 0)];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        assert!(files_below(&scratch.join("absent")).is_err());
    }
}
