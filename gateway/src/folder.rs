//! Folders and files that only the service's user may change: they are created that way, and checked at each start.

use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

/// Creates a folder for its owner only, unless it exists.
///
/// # Errors
/// If it cannot be created.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// Checks who may change a folder or a file, which should have this mode. Returns warnings if others can read it or
/// another user owns it.
///
/// # Errors
/// If every user of the machine could replace it.
pub(crate) fn check_owner(path: &Path, mode: &str) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(warnings);
    };
    let shown = path.display();
    if found.permissions().mode() & 0o002 != 0 {
        return Err(format!(
            "every user of this machine may change {shown}: chmod {mode} {shown}"
        ));
    }
    if found.is_file() && found.permissions().mode() & 0o004 != 0 {
        warnings.push(format!(
            "every user of this machine may read {shown}: chmod {mode} {shown}"
        ));
    }
    if let Some(owner) = foreign_owner(&found) {
        warnings.push(format!(
            "{shown} belongs to user {owner}, who is neither root nor the user of this process, and may replace it"
        ));
    }
    Ok(warnings)
}

/// Who owns a file or a folder, and its mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) user: u32,
    pub(crate) mode: u32,
}

impl Held {
    /// That of a path, if there is something.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            user: found.uid(),
            mode: found.permissions().mode(),
        })
    }
}

/// Refuses to write files for the server as root if the server does not run as root.
///
/// # Errors
/// If root runs this and the data folder is another user's.
pub(crate) fn refuse_root(data: &Path) -> anyhow::Result<()> {
    let Ok(found) = std::fs::metadata(data) else {
        return Ok(());
    };
    let (owner, shown) = (found.uid(), data.display());
    anyhow::ensure!(
        owner == 0 || rustix::process::geteuid().as_raw() != 0,
        "{shown} belongs to user {owner}, and the server could not use files that root creates there: run this as \
         that user, such as with `setpriv --reuid={owner} --regid={group} --clear-groups gantry ...`",
        group = found.gid()
    );
    Ok(())
}

/// The owner, if this process has no reason to trust that user. Root may work on any user's folder.
fn foreign_owner(found: &Metadata) -> Option<u32> {
    let own = rustix::process::geteuid().as_raw();
    (found.uid() != own && found.uid() != 0 && own != 0).then(|| found.uid())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_folder_is_made_for_its_owner_and_one_that_is_there_keeps_its_mode() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        make(&folder).unwrap();
        let mode = || fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        make(&folder).unwrap();
        assert_eq!(mode(), 0o750);
    }

    #[test]
    fn what_every_user_may_change_is_refused_and_a_readable_key_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("master.key");
        fs::write(&key, "key").unwrap();
        let set = |mode| fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let checked = || check_owner(&key, "0600");
        for mode in [0o600, 0o640] {
            set(mode);
            assert!(checked().unwrap().is_empty());
        }
        set(0o644);
        let warnings = checked().unwrap();
        assert!(
            warnings.len() == 1 && warnings[0].contains("chmod 0600"),
            "{warnings:?}"
        );
        set(0o602);
        let error = checked().unwrap_err();
        assert!(
            error.contains("master.key") && error.contains("chmod 0600"),
            "{error}"
        );
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let error = check_owner(folder.path(), "0700").unwrap_err();
        assert!(error.contains("chmod 0700"), "{error}");
    }
}
