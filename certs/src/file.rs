//! Writes certificates and keys atomically, keys readable by their owner only. Files keep their owner, so that root can
//! renew the files of a server that runs as another user.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::authority::Issued;
use crate::error::{Error, Result};

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Paths of a server certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain that the server sends, in PEM form.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

impl Pair {
    /// The paths that [`write_pair`] uses in `folder`: `server.crt` and `server.key`.
    pub fn within(folder: &Path) -> Self {
        Self {
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
        }
    }
}

/// Writes a pair to an existing `folder`; blocks on the disk.
///
/// The key (mode 0600) is written first and the certificate last, each by rename, so that a process watching the
/// certificate finds its key in place. Replaced files keep owner, group and mode; new ones belong to the owner of the
/// folder.
///
/// # Errors
///
/// [`Error::Write`] or [`Error::Owner`], naming the file.
pub fn write_pair(folder: &Path, issued: &Issued) -> Result<Pair> {
    let pair = Pair::within(folder);
    replace(&pair.key, issued.key_pem.as_bytes(), SECRET)?;
    replace(&pair.certificate, issued.chain_pem.as_bytes(), PUBLIC)?;
    Ok(pair)
}

/// Writes a file that anyone may read (mode 0644), such as the authority's certificate for clients to install.
///
/// # Errors
///
/// [`Error::Write`] or [`Error::Owner`], naming the file.
pub fn write_public(path: &Path, text: &str) -> Result<()> {
    replace(path, text.as_bytes(), PUBLIC)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let failed = |error| Error::Write(path.to_owned(), error);
    // made with mode 0600, so that a key is never readable by others, not even for a moment
    let mut temporary = tempfile::Builder::new()
        .prefix(".gantry-")
        .tempfile_in(folder)
        .map_err(failed)?;
    temporary.write_all(bytes).map_err(failed)?;
    let before = fs::metadata(path).ok();
    let owner = match &before {
        Some(before) => before.clone(),
        None => fs::metadata(folder).map_err(failed)?,
    };
    let mode = before.map_or(mode, |before| before.permissions().mode() & 0o777);
    let mode = give(temporary.as_file(), &owner, mode).map_err(|source| Error::Owner {
        path: path.to_owned(),
        owner: owner.uid(),
        source,
    })?;
    fs::set_permissions(temporary.path(), Permissions::from_mode(mode)).map_err(failed)?;
    finish(temporary, folder, path).map_err(failed)
}

/// Gives a new file to the owner of the old one, and returns its mode: if the group cannot be kept, the new group gets
/// no access.
fn give(file: &File, before: &Metadata, mode: u32) -> io::Result<u32> {
    let now = file.metadata()?;
    if now.uid() != before.uid() {
        fchown(file, Some(before.uid()), None)?;
    }
    if now.gid() == before.gid() || fchown(file, None, Some(before.gid())).is_ok() {
        return Ok(mode);
    }
    Ok(if mode & 0o007 == 0 {
        mode & !0o070
    } else {
        mode
    })
}

fn finish(temporary: tempfile::NamedTempFile, folder: &Path, path: &Path) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn issued(text: &str) -> Issued {
        Issued {
            chain_pem: format!("chain {text}"),
            key_pem: Zeroizing::new(format!("key {text}")),
        }
    }

    #[test]
    fn a_key_is_for_its_owner_alone_and_a_certificate_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), &issued("one")).unwrap();
        assert_eq!((mode(&pair.key), mode(&pair.certificate)), (SECRET, PUBLIC));
    }

    #[test]
    fn a_second_pair_takes_the_place_of_the_first_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        write_pair(folder.path(), &issued("one")).unwrap();
        let pair = write_pair(folder.path(), &issued("two")).unwrap();
        assert_eq!(fs::read_to_string(&pair.key).unwrap(), "key two");
        assert_eq!(fs::read_to_string(&pair.certificate).unwrap(), "chain two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let pair = write_pair(folder.path(), &issued("one")).unwrap();
        fs::set_permissions(&pair.key, Permissions::from_mode(0o640)).unwrap();
        write_pair(folder.path(), &issued("two")).unwrap();
        assert_eq!((mode(&pair.key), mode(&pair.certificate)), (0o640, PUBLIC));
    }

    /// Only root can test it: other users own everything that they write.
    #[test]
    fn a_file_that_root_replaces_keeps_its_owner() {
        use std::os::unix::fs::chown;
        let folder = tempfile::tempdir().unwrap();
        if chown(folder.path(), Some(12_345), Some(12_346)).is_err() {
            return;
        }
        let owners = |pair: &Pair| {
            [&pair.key, &pair.certificate].map(|path| {
                let file = fs::metadata(path).unwrap();
                (file.uid(), file.gid())
            })
        };
        let pair = write_pair(folder.path(), &issued("one")).unwrap();
        assert_eq!(owners(&pair), [(12_345, 12_346); 2]);
        chown(&pair.key, Some(12_347), Some(12_348)).unwrap();
        write_pair(folder.path(), &issued("two")).unwrap();
        assert_eq!(owners(&pair), [(12_347, 12_348), (12_345, 12_346)]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_pair(Path::new("/no/such/folder"), &issued("one")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/server.key"));
    }
}
