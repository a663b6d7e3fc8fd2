//! Making container clients trust a server: its CA under `/etc/docker/certs.d`, where docker, podman,
//! skopeo and buildah look for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scratch::make_folder;

/// The CA of one server as installed; dropping it takes it away again.
pub struct Trust(PathBuf);

impl Trust {
    pub fn install(ca: &Path, address: &str) -> Result<Self, String> {
        let folder = Path::new(FOLDER).join(address);
        make_folder(&folder)?;
        fs::copy(ca, folder.join("ca.crt"))
            .map_err(|error| format!("cannot install {}: {error}", ca.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        fs::remove_file(self.0.join("ca.crt")).ok();
        fs::remove_dir(&self.0).ok();
        // Goes only when empty, so another server's CA stays.
        fs::remove_dir(FOLDER).ok();
    }
}

const FOLDER: &str = "/etc/docker/certs.d";
