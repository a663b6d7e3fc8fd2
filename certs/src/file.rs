//! Writing certificates and keys: whole or not at all, keys for the owner's eyes only.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::authority::Issued;
use crate::error::{Error, Result};

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Where a server certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain that the server sends, in PEM form.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

impl Pair {
    /// Where [`write_pair`] puts a pair in `folder`: `server.crt` and `server.key`.
    pub fn within(folder: &Path) -> Self {
        Self {
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
        }
    }
}

/// Writes a pair to `folder`, which exists; blocks on the disk.
///
/// The key (mode 0600) comes first and the certificate last, each by rename, so that whoever watches the
/// certificate finds its key in place.
///
/// # Errors
///
/// [`Error::Write`], naming the file.
pub fn write_pair(folder: &Path, issued: &Issued) -> Result<Pair> {
    let pair = Pair::within(folder);
    replace(&pair.key, issued.key_pem.as_bytes(), SECRET)?;
    replace(&pair.certificate, issued.chain_pem.as_bytes(), PUBLIC)?;
    Ok(pair)
}

/// Writes a certificate that anyone may read (mode 0644), such as the authority's for clients to install.
///
/// # Errors
///
/// [`Error::Write`], naming the file.
pub fn write_certificate(path: &Path, pem: &str) -> Result<()> {
    replace(path, pem.as_bytes(), PUBLIC)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    try_replace(folder, path, bytes, mode).map_err(|error| Error::Write(path.to_owned(), error))
}

fn try_replace(folder: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // made with mode 0600, so that a key is never readable by others, not even for a moment
    let mut temporary = tempfile::Builder::new()
        .prefix(".gantry-")
        .tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    fs::set_permissions(temporary.path(), Permissions::from_mode(mode))?;
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
    fn a_missing_folder_is_named() {
        let error = write_pair(Path::new("/no/such/folder"), &issued("one")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/server.key"));
    }
}
