//! What stands throughout the run, PostgreSQL and SeaweedFS, and registries that are started on them.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::backing::{Backing, Room};
use crate::bench::Options;
use crate::bench::folder::Folder;
use crate::bench::gantry::{Binary, Gantry};
use crate::bench::load::Target;
use crate::bench::peer::{Certificate, Kept, Peer};
use crate::bench::process::Processes;
use crate::install::{self, Mode, Need, need};
use crate::postgres::Durability;
use crate::seaweed::{ACCESS_KEY, SECRET_KEY};
use crate::tools::SEAWEEDFS;

/// What these cases take beyond the needs of all benchmarks.
const NEEDS: [Need; 2] = [
    need("curl", "curl", "asks the S3 server"),
    need(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgresql-15",
        "Gantry runs on it",
    ),
];

/// Sees to it that it is there.
pub(super) fn ensure(mode: Mode) -> Result<(), String> {
    install::ensure(&NEEDS, mode)?;
    SEAWEEDFS.ensure(mode)
}

/// Fields are dropped in this order: servers, then files.
pub(super) struct Stage {
    backing: Backing,
    binary: Binary,
    certificate: Certificate,
    folder: Folder,
    next: AtomicU32,
}

impl Stage {
    pub(super) fn start(options: &Options) -> Result<Self, String> {
        let folder = Folder::temporary("bench")?;
        let binary = Binary::obtain(options.gantry.as_deref(), folder.path())?;
        Ok(Self {
            backing: Backing::start(binary.path(), Durability::Synced)?,
            binary,
            certificate: Certificate::make(folder.path())?,
            folder,
            next: AtomicU32::new(1),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new database and bucket.
    pub(super) fn room(&self) -> Result<Room<'_>, String> {
        self.backing.room(&self.name("room"))
    }

    /// One Gantry, with the settings of its room and `more`.
    pub(super) fn gantry(&self, room: &Room<'_>, more: &[(&str, &str)]) -> Result<Gantry, String> {
        let settings = room.settings.iter();
        let settings = settings.map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<(&str, &str)> = settings.chain(more.iter().copied()).collect();
        let data = self.folder.join(&self.name("gantry"));
        let mut gantry = Gantry::spawn(&self.binary, &data, &settings)?;
        gantry.wait_ready(Duration::from_secs(60))?;
        Ok(gantry)
    }

    /// docker-registry on the bucket of a room.
    pub(super) fn registry(&self, room: &Room<'_>) -> Result<Peer, String> {
        let endpoint = self.backing.seaweed().endpoint();
        let kept = Kept::Bucket(&endpoint, &room.bucket);
        Peer::docker_registry(&self.certificate, self.folder.path(), kept)
    }

    /// SeaweedFS itself, for a client that signs its requests.
    pub(super) fn direct(&self) -> Target {
        Target {
            url: self.backing.seaweed().endpoint(),
            ca: self.certificate.ca().to_owned(),
            login: Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())),
        }
    }

    pub(super) fn seaweed(&self) -> Processes {
        Processes::of([self.backing.seaweed().pid()])
    }

    pub(super) fn postgres(&self) -> Processes {
        Processes::of([self.backing.postgres().pid()])
    }

    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}
