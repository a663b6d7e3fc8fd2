//! A writer of another process holds the file open and may write to it until it learns, at its next checkpoint, that
//! its session was taken over. The finished bytes are therefore copied to a new file, hashed there, and given the name:
//! further writes of the other process go to a file without a name.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use model::Hasher;

use super::sync_folder;
use crate::Finished;

/// Bytes to hash at a time.
const PIECE: usize = 1 << 20;

/// Replaces a file with a copy of its first bytes, durably. Returns the copy's size and digest, or `None` if the file
/// is shorter.
pub(super) fn detach(path: &Path, copy: &Path, finished: Finished) -> io::Result<Option<Finished>> {
    let from = File::open(path)?;
    let mut to = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(copy)?;
    // If the file system supports it, this shares blocks until one side changes them.
    let copied = io::copy(&mut from.take(finished.size), &mut to)?;
    if copied < finished.size {
        std::fs::remove_file(copy)?;
        return Ok(None);
    }
    let digest = {
        to.rewind()?;
        let mut hasher = Hasher::new(finished.digest.algorithm());
        let mut piece = vec![0; PIECE];
        loop {
            match to.read(&mut piece)? {
                0 => break hasher.finish(),
                length => hasher.update(&piece[..length]),
            }
        }
    };
    to.sync_all()?;
    std::fs::rename(copy, path)?;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(Some(Finished {
        size: finished.size,
        digest,
    }))
}
