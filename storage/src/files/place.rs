//! The store's folder, checked against the one that was opened. Unmounting a volume leaves another folder in its place:
//! nothing may be written there, and no object counts as missing.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;

use super::identity;

/// A folder, identified by its inode.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    known: Mutex<Known>,
    /// The newest hour folder known to be durable.
    pub(super) durable_hour: AtomicI64,
}

#[derive(Debug)]
struct Known {
    node: Node,
    /// The identity last read there.
    identity: Option<Vec<u8>>,
}

/// A file system and an inode on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node(u64, u64);

fn node_of(folder: &Path) -> io::Result<Node> {
    let found = std::fs::metadata(folder)?;
    Ok(Node(found.dev(), found.ino()))
}

impl Place {
    /// The folder as it is now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let node = node_of(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            known: Mutex::new(Known {
                node,
                identity: None,
            }),
            durable_hour: AtomicI64::new(i64::MIN),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fails if another folder is in its place; otherwise it costs one system call. A remounted volume with the
    /// identity read before counts as the same folder.
    ///
    /// # Errors
    /// When it is another folder, or cannot be looked at.
    pub(super) fn check(&self) -> io::Result<()> {
        let node = node_of(&self.folder).map_err(|error| gone(&error))?;
        let mut known = self.known.lock();
        if node == known.node {
            return Ok(());
        }
        if known.identity.is_some() && identity::read(&self.folder)? == known.identity {
            known.node = node;
            return Ok(());
        }
        Err(gone(&"another folder is in its place"))
    }

    /// Reads the identity, and remembers it if the folder is the one that was opened.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn identity(&self) -> io::Result<Option<Vec<u8>>> {
        let text = identity::read(&self.folder)?;
        if text.is_some() && self.check().is_ok() {
            self.known.lock().identity.clone_from(&text);
        }
        Ok(text)
    }
}

fn gone(why: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!(
        "the folder of the blobs is not the one that was there before: is it still mounted? ({why})"
    ))
}
