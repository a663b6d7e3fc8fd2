//! Two servers on one PostgreSQL database and one store, without a balancer between a test and them.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;

use super::server::Server;

pub struct Replicas {
    pub first: Server,
    pub second: Server,
    /// The URL of the database.
    url: String,
    /// Holds the blobs and the master key.
    folder: TempDir,
}

impl Replicas {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// As [`Self::start`], with these settings besides.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (key, blobs, url) = (at("master.key"), at("blobs"), database().await);
        let made = Server::run(&["secret", "new", &key], &[]).await;
        assert!(made.status.success(), "{made:?}");
        let shared = [
            ("GANTRY_DATABASE__URL", &*url),
            ("GANTRY_SECRETS__MASTER_KEY_FILE", &key),
            ("GANTRY_STORAGE__PATH", &blobs),
        ];
        let settings = [&shared[..], settings].concat();
        Self {
            first: Server::with(&settings).await,
            second: Server::with(&settings).await,
            url,
            folder,
        }
    }

    /// Runs SQL on the database, beside the servers; what it gives.
    pub async fn sql(&self, statement: &str) -> String {
        psql(&self.url, statement).await
    }

    /// The folder of the blobs.
    pub fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }
}

/// The URL of a new database on the server that `GANTRY_TEST_POSTGRES` names.
pub async fn database() -> String {
    let server = std::env::var("GANTRY_TEST_POSTGRES").expect(
        "GANTRY_TEST_POSTGRES must name a PostgreSQL server: run `cargo xtask test`, or apt-get install postgresql-15",
    );
    let name = format!(
        "{}_{}",
        super::fresh("it").replace('-', "_"),
        std::process::id()
    );
    psql(&server, &format!("create database {name}")).await;
    let (server, _) = server.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

/// Runs a statement on a database; the rows that it gives, a line each.
async fn psql(url: &str, statement: &str) -> String {
    let run = tokio::process::Command::new("psql")
        .args([url, "-qAt", "-c", statement])
        .stdin(Stdio::null())
        .output();
    let run = run
        .await
        .expect("psql can be run: apt-get install postgresql-client");
    assert!(run.status.success(), "{run:?}");
    String::from_utf8_lossy(&run.stdout).trim().to_owned()
}
