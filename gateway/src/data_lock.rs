//! The lock of the data folder (`gantry.lock`): only one process serves from it, so that leftovers of an earlier one
//! can be recognized, and no database is restored into it meanwhile.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Takes the lock for a server; it is held until the file is dropped.
///
/// # Errors
/// If another process has it.
pub(crate) fn take(folder: &Path) -> anyhow::Result<File> {
    let file = open(folder)?;
    let taken = flock(&file, FlockOperation::NonBlockingLockExclusive);
    taken.with_context(|| {
        format!(
            "another gantry serves from {0}, or a restore into {0} is running: stop it, or take over with `gantry \
             serve --take-over`",
            folder.display()
        )
    })?;
    Ok(file)
}

/// Takes the lock for a restore.
///
/// # Errors
/// If a server or another restore has it.
pub(crate) fn take_for_restore(folder: &Path) -> anyhow::Result<File> {
    let file = open(folder)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => anyhow::bail!(
            "a server, or another restore, is running on {}: stop the server, or wait until the restore has ended",
            folder.display()
        ),
        Err(error) => {
            Err(error).with_context(|| format!("cannot take the lock of {}", folder.display()))
        }
    }
}

/// Waits in the background until the previous process has ended, then holds the lock until this process ends.
///
/// # Errors
/// If no process has it.
pub(crate) fn wait(folder: &Path) -> anyhow::Result<()> {
    let file = open(folder)?;
    let free = flock(&file, FlockOperation::NonBlockingLockExclusive);
    anyhow::ensure!(
        free.is_err(),
        "no gantry serves from {}, so there is nothing to take over: start without --take-over",
        folder.display()
    );
    let wait = move || {
        if let Err(error) = flock(&file, FlockOperation::LockExclusive) {
            tracing::error!(%error, "cannot take the lock of the data folder");
        }
        // Never released while the process lives.
        std::mem::forget(file);
    };
    std::thread::Builder::new()
        .name("lock".to_owned())
        .spawn(wait)?;
    Ok(())
}

fn open(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("gantry.lock");
    File::create(&path).with_context(|| format!("cannot create {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_restored_where_a_server_or_another_restore_runs() {
        let folder = tempfile::tempdir().unwrap();
        for take_first in [take, take_for_restore] {
            let held = take_first(folder.path()).unwrap();
            let refused = take_for_restore(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("another restore"), "{refused}");
            let refused = take(folder.path()).unwrap_err().to_string();
            assert!(refused.contains("a restore into"), "{refused}");
            drop(held);
        }
        take_for_restore(folder.path()).unwrap();
    }
}
