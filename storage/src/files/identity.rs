//! The identity of a folder: a file that is written atomically.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::sync_folder;
use crate::identity::{KEY, LONGEST};
use crate::{Error, Existing, Result};

/// Distinguishes this process's files from those of others.
pub(super) fn suffix() -> Result<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Failed {
        action: "name",
        key: KEY.to_owned(),
        source: io::Error::other("the system gives no random bytes"),
    })?;
    Ok(hex::encode(bytes))
}

/// The content; `None` if there is no file.
pub(super) fn read(folder: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(folder.join(KEY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Writes it to a temporary file, syncs that and renames it.
pub(super) fn put(folder: &Path, spare: &str, text: &[u8], existing: Existing) -> io::Result<()> {
    let (place, spare) = (folder.join(KEY), folder.join(format!("{KEY}.{spare}")));
    write(&spare, text)?;
    let named = match existing {
        Existing::Replaced => std::fs::rename(&spare, &place),
        Existing::Kept => name(&spare, &place, text),
    };
    // The rename removed it.
    let _ = std::fs::remove_file(&spare);
    named?;
    sync_folder(folder)
}

/// Adds a hard link to a file, unless the name is taken. On a file system without hard links, the file is written
/// again.
fn name(spare: &Path, place: &Path, text: &[u8]) -> io::Result<()> {
    let named = match std::fs::hard_link(spare, place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => write(place, text),
        named => named,
    };
    match named {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        named => named,
    }
}

/// Writes a new file; its content is durable, its name not yet.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
