//! This machine: its disk, and how many files a process may have open.

use std::fs::OpenOptions;
use std::future::ready;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use model::{Clock as _, SystemClock};

use super::finding::{Check, Finding, Level};
use crate::config::Config;
use crate::descriptors;

const DISK: Check = Check {
    name: "disk",
    advice: "let the user that runs the server write there, and look at the disk and how it is mounted",
};
const LIMITS: Check = Check {
    name: "limits",
    advice: "raise `ulimit -n` (LimitNOFILE of a unit), or lower [limits] connections",
};

/// Bytes that have to be free where blobs or SQLite's file are.
const LEAST: u64 = 256 << 20;
/// Bytes that have to be free where only certificates are.
const LEAST_FOR_CERTIFICATES: u64 = 16 << 20;
/// How long a small write may take until it is durable.
const SLOW: Duration = Duration::from_secs(1);

/// Looks at the folders of the data and of the blobs.
pub(super) async fn disk(config: Arc<Config>) -> Vec<Finding> {
    let look = move || {
        let folders = folders(&config).into_iter();
        let looked = folders.map(|folder| of_folder(&folder, least(&config, &folder)));
        let findings = looked.map(|found| found.unwrap_or_else(|error| DISK.failed(&error)));
        ready(Ok(findings.collect()))
    };
    DISK.run(look).await
}

/// Compares the connections that are wanted with what a process may have open.
pub(super) fn limits(config: &Config) -> Vec<Finding> {
    let wanted = config.limits.connections;
    let (files, possible) = descriptors::attainable();
    if wanted <= possible {
        let found = format!("{files} open files are allowed here, enough for {wanted} connections");
        return vec![LIMITS.ok(found)];
    }
    let found = format!(
        "a server started as this command was may have {files} files open, which is enough for {possible} connections \
         and not for the {wanted} of [limits] connections"
    );
    vec![LIMITS.warning(found, LIMITS.advice)]
}

/// The folders on this machine that hold data.
pub(super) fn folders(config: &Config) -> Vec<PathBuf> {
    let mut folders = vec![config.server.data.clone()];
    let blobs = config.blobs();
    if config.keeps_files() && !blobs.starts_with(&config.server.data) {
        folders.push(blobs);
    }
    folders
}

/// How many bytes have to be free in a folder, after what it holds.
fn least(config: &Config, folder: &Path) -> u64 {
    let has_blobs = config.keeps_files() && config.blobs().starts_with(folder);
    let has_database = config.database.is_sqlite() && config.server.data == folder;
    if has_blobs || has_database {
        LEAST
    } else {
        LEAST_FOR_CERTIFICATES
    }
}

/// Room on a file system.
pub(super) struct Room {
    free: u64,
    total: u64,
    /// Files that can still be made.
    free_inodes: u64,
    /// All files that it can hold; 0 if it does not say.
    inodes: u64,
}

impl Room {
    /// The room where a folder is.
    ///
    /// # Errors
    /// If the system does not say.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        let found = rustix::fs::statvfs(folder);
        let found = found.with_context(|| format!("cannot look at {}", folder.display()))?;
        Ok(Self {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free_inodes: found.f_favail,
            inodes: found.f_files,
        })
    }

    /// The room as text.
    pub(super) fn text(&self) -> String {
        let (free, total) = (self.free >> 20, self.total >> 20);
        let space = format!("{free} of {total} MiB free");
        match self.inodes {
            0 => space,
            inodes => format!("{space}, {} of {inodes} inodes", self.free_inodes),
        }
    }

    fn level(&self, least: u64) -> Level {
        let has_inodes = |least: u64| self.inodes == 0 || self.free_inodes >= least;
        if self.free < least || !has_inodes(1_000) {
            return Level::Fail;
        }
        let is_much = self.free >= 20 << 30 || self.free >= self.total / 10;
        if is_much && has_inodes(self.inodes / 20) {
            Level::Ok
        } else {
            Level::Warning
        }
    }
}

fn of_folder(folder: &Path, least: u64) -> anyhow::Result<Finding> {
    let (shown, room) = (folder.display(), Room::of(folder)?);
    let begun = Instant::now();
    try_sync(folder).with_context(|| format!("cannot write and sync a file in {shown}"))?;
    let took = begun.elapsed();
    let found = format!(
        "{shown}: {}; a synced write takes {} ms",
        room.text(),
        took.as_millis()
    );
    let advice = "make room: delete what nobody needs, let `gantry gc run` finish, or enlarge the file system";
    Ok(match room.level(least) {
        Level::Fail => DISK.fail(found, advice),
        Level::Warning => DISK.warning(found, advice),
        Level::Ok if took > SLOW => {
            DISK.warning(found, "every push waits as long: look for a faster disk")
        }
        Level::Ok => DISK.ok(found),
    })
}

/// Writes a small file, makes it durable, and deletes it. Its name is that of a probe of the store: what is left of it
/// if this is killed, `gantry storage check` does not take for somebody else's.
fn try_sync(folder: &Path) -> io::Result<()> {
    let (process, now) = (std::process::id(), SystemClock.now().0);
    let path = folder.join(format!("gantry-probe-doctor-{process}-{now}"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let written = file.write_all(&[b'x'; 4_096]);
    let synced = written.and_then(|()| file.sync_all());
    let removed = std::fs::remove_file(&path);
    synced.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Backend, MovingFrom};

    #[test]
    fn a_full_disk_fails_and_a_filling_one_is_warned_of() {
        let gib = |free: u64, total: u64, free_inodes: u64, inodes: u64| {
            let room = Room {
                free: free << 30,
                total: total << 30,
                free_inodes,
                inodes,
            };
            room.level(LEAST)
        };
        assert_eq!(gib(50, 100, 90, 0), Level::Ok);
        assert_eq!(gib(25, 1_000, 500_000, 1_000_000), Level::Ok);
        assert_eq!(gib(5, 100, 500_000, 1_000_000), Level::Warning);
        assert_eq!(gib(50, 100, 10_000, 1_000_000), Level::Warning);
        assert_eq!(gib(50, 100, 999, 1_000_000), Level::Fail);
        assert_eq!(gib(0, 100, 500_000, 1_000_000), Level::Fail);
    }

    #[test]
    fn a_small_volume_is_enough_for_certificates_alone() {
        let room = Room {
            free: 190 << 20,
            total: 200 << 20,
            free_inodes: 50_000,
            inodes: 51_200,
        };
        let mut config = Config::default();
        let level = |config: &Config| room.level(least(config, &config.server.data));
        assert_eq!(level(&config), Level::Fail);
        config.storage.backend = Backend::S3;
        assert_eq!(level(&config), Level::Fail, "SQLite's file is there");
        config.database.url = "postgres://h/d".to_owned().into();
        assert_eq!(level(&config), Level::Ok);
        config.storage.moving_from = MovingFrom::Files;
        assert_eq!(level(&config), Level::Fail);
    }

    #[test]
    fn a_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        try_sync(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(try_sync(&folder.path().join("absent")).is_err());
    }
}
