//! Two servers on one PostgreSQL database and one store, without a balancer between a test and them.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;

use super::server::Server;

pub(crate) struct Replicas {
    pub(crate) first: Server,
    pub(crate) second: Server,
    /// Holds the blobs and the master key.
    folder: TempDir,
}

impl Replicas {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (key, blobs, url) = (at("master.key"), at("blobs"), database().await);
        let made = Server::run(&["secret", "new", &key], &[]).await;
        assert!(made.status.success(), "{made:?}");
        let settings = [
            ("GANTRY_DATABASE__URL", &*url),
            ("GANTRY_SECRETS__MASTER_KEY_FILE", &key),
            ("GANTRY_STORAGE__PATH", &blobs),
        ];
        Self {
            first: Server::with(&settings).await,
            second: Server::with(&settings).await,
            folder,
        }
    }

    /// The folder of the blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }
}

/// The URL of a new database on the server that `GANTRY_TEST_POSTGRES` names.
pub(crate) async fn database() -> String {
    let server = std::env::var("GANTRY_TEST_POSTGRES").expect(
        "GANTRY_TEST_POSTGRES must name a PostgreSQL server: run `cargo xtask test`, or apt-get install postgresql-15",
    );
    let name = format!(
        "{}_{}",
        super::fresh("it").replace('-', "_"),
        std::process::id()
    );
    let made = tokio::process::Command::new("psql")
        .args([&*server, "-q", "-c", &format!("create database {name}")])
        .stdin(Stdio::null())
        .output();
    let made = made
        .await
        .expect("psql can be run: apt-get install postgresql-client");
    assert!(made.status.success(), "{made:?}");
    let (server, _) = server.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}
