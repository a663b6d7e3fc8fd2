//! What `bench scale`, `bench gc`, `bench audit` and `bench lists` stand on: one server process, with files and SQLite or with PostgreSQL
//! and SeaweedFS, whose database can be filled by SQL.

use std::path::PathBuf;
use std::time::Duration;

use db::Location;

use super::Options;
use testkit::backing::{Backing, Part};
use testkit::cmd::Cmd;
use testkit::cmd::succeed;
use testkit::gantry::{Binary, Server};
use testkit::postgres::Durability;
use testkit::program::is_root;
use testkit::scratch::Scratch;
use testkit::seaweed::Seaweed;
use testkit::topology::Topology;

/// What all stages of a run share.
pub(super) struct Setup {
    pub(super) options: Options,
    binary: Binary,
    folder: Scratch,
}

impl Setup {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        let folder = Scratch::new("bench")?;
        Ok(Self {
            binary: Binary::obtain(options.gantry.as_deref(), folder.path())?,
            folder,
            options,
        })
    }
}

/// A data folder, or a database and a bucket, for one server process at a time.
pub(super) struct Stage<'a> {
    pub(super) setup: &'a Setup,
    pub(super) topology: Topology,
    data: PathBuf,
    backing: Option<Backing>,
}

impl<'a> Stage<'a> {
    /// Nothing in it yet; a server that starts on it makes the schema.
    pub(super) fn new(setup: &'a Setup, topology: Topology, name: &str) -> Result<Self, String> {
        let backing = match topology {
            Topology::Files => None,
            Topology::Replicas => Some(Backing::start(&setup.binary, Durability::Synced)?),
        };
        Ok(Self {
            setup,
            topology,
            data: setup.folder.join(&format!("{name}-{topology}")),
            backing,
        })
    }

    /// Starts the server and waits until it is ready; the time that took.
    pub(super) fn serve(&self) -> Result<(Server, Duration), String> {
        let mut gantry = Server::spawn(&self.setup.binary, &self.data, &self.settings())?;
        let took = gantry.wait_ready()?;
        Ok((gantry, took))
    }

    /// A sub-command of the server's binary with its settings.
    pub(super) fn command(&self, words: &str) -> Result<String, String> {
        let mut command = self.setup.binary.command();
        command.args(words.split(' ')).envs(self.settings());
        succeed(command.arg("--data").arg(&self.data))
    }

    /// Runs statements in the database; what they select, one row a line.
    pub(super) fn sql(&self, statements: &str) -> Result<String, String> {
        let cmd = match &self.backing {
            None => Cmd::local("sqlite3")
                .words("-batch -bail -cmd")
                .arg(SQLITE_PATIENCE)
                .arg(self.data.join("gantry.db")),
            Some(backing) => Cmd::local("psql")
                .words("-X -q -At -v ON_ERROR_STOP=1")
                .arg(backing.database()),
        };
        let output = cmd.input(statements).limit_secs(SQL_LIMIT).output()?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// Where the database is.
    pub(super) fn location(&self) -> Location {
        match &self.backing {
            None => Location::Sqlite(self.data.join("gantry.db")),
            Some(backing) => Location::Postgres(backing.database().to_owned()),
        }
    }

    /// Where a server on files keeps objects.
    pub(super) fn objects_folder(&self) -> PathBuf {
        self.data.join("blobs")
    }

    pub(super) fn seaweed(&self) -> Option<&Seaweed> {
        self.backing.as_ref().map(Backing::seaweed)
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.backing.is_some()
    }

    /// Nothing of the database is in memory afterwards. `false` where the system does not let us.
    pub(super) fn make_cold(&mut self) -> Result<bool, String> {
        if !is_root() {
            return Ok(false);
        }
        if let Some(backing) = &mut self.backing {
            backing.crash(Part::Database)?;
            backing.restart(Part::Database)?;
        }
        Cmd::local("sync").run()?;
        Ok(std::fs::write(DROP_CACHES, "3").is_ok())
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = self
            .backing
            .as_ref()
            .map_or_else(Vec::new, Backing::settings);
        // Directories are on this machine.
        settings.push((
            "GANTRY_OUTGOING__ALLOW".to_owned(),
            "127.0.0.0/8".to_owned(),
        ));
        settings
    }
}

/// How long statements wait for a running server's transaction.
const SQLITE_PATIENCE: &str = ".timeout 60000";

/// Seconds for statements that make millions of rows.
const SQL_LIMIT: u32 = 1_800;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
