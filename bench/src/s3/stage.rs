//! What stands throughout the run, PostgreSQL and SeaweedFS, and registries that are started on them.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Options;
use testkit::backing::{Backing, Room};
use testkit::gantry::{Binary, Server};
use testkit::peer::{Certificate, Kept, Peer};
use testkit::postgres::Durability;
use testkit::process::Processes;
use testkit::scratch::Scratch;

/// Fields are dropped in this order: servers, then files.
pub(crate) struct Stage {
    backing: Backing,
    binary: Binary,
    certificate: Certificate,
    folder: Scratch,
    next: AtomicU32,
}

impl Stage {
    pub(crate) fn start(options: &Options) -> Result<Self, String> {
        let folder = Scratch::new("bench")?;
        let binary = Binary::obtain(options.gantry.as_deref(), folder.path())?;
        Ok(Self {
            backing: Backing::start(&binary, Durability::Synced)?,
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
    pub(crate) fn room(&self) -> Result<Room<'_>, String> {
        self.backing.room(&self.name("room"))
    }

    /// One Gantry, with the settings of its room and `more`.
    pub(crate) fn gantry(&self, room: &Room<'_>, more: &[(&str, &str)]) -> Result<Server, String> {
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: Vec<(String, String)> = room.settings.iter().cloned().chain(more).collect();
        let data = self.folder.join(&self.name("gantry"));
        let mut gantry = Server::spawn(&self.binary, &data, &settings)?;
        gantry.wait_ready()?;
        Ok(gantry)
    }

    /// distribution on the bucket of a room.
    pub(super) fn registry(&self, room: &Room<'_>) -> Result<Peer, String> {
        let endpoint = self.backing.seaweed().endpoint();
        let kept = Kept::Bucket(&endpoint, &room.bucket);
        Peer::distribution(&self.certificate, self.folder.path(), kept)
    }

    /// SeaweedFS itself, for a client that signs its requests.
    pub(crate) fn endpoint(&self) -> String {
        self.backing.seaweed().endpoint()
    }

    pub(crate) fn seaweed(&self) -> Processes {
        Processes::of([self.backing.seaweed().pid()])
    }

    pub(crate) fn postgres(&self) -> Processes {
        Processes::of([self.backing.postgres().pid()])
    }

    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}
