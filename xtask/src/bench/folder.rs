//! A temporary folder that goes with its guard.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of this run, removed on drop.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a folder below `parent`.
    pub(crate) fn below(parent: &Path, purpose: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("gantry-{purpose}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    /// Makes a folder where the system keeps temporary ones.
    pub(crate) fn temporary(purpose: &str) -> Result<Self, String> {
        Self::below(&std::env::temp_dir(), purpose)
    }

    /// Leaves the folder behind, as evidence.
    pub(crate) fn keep(self) -> PathBuf {
        let mut this = std::mem::ManuallyDrop::new(self);
        std::mem::take(&mut this.0)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
