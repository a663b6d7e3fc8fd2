//! What `bench scale` and `bench gc` stand on: one server process, with files and SQLite or with PostgreSQL
//! and SeaweedFS, whose database can be filled by SQL.

use std::path::PathBuf;
use std::time::Duration;

use super::folder::Folder;
use super::gantry::{Binary, Gantry};
use super::load::{Load, succeed};
use super::require;
use crate::backing::{Backing, Part};
use crate::cmd::Cmd;
use crate::install::{Mode, Need, ensure, is_root, need};
use crate::postgres::Durability;
use crate::seaweed::Seaweed;
use crate::tools::SEAWEEDFS;
use crate::topology::Topology;
use crate::workspace;

/// The options of both.
pub(super) struct Options {
    pub(super) short: bool,
    pub(super) rounds: usize,
    pub(super) topologies: Vec<Topology>,
    pub(super) document: Option<String>,
    /// The one part that is to be measured.
    pub(super) only: Option<String>,
    gantry: Option<String>,
    mode: Mode,
}

impl Options {
    /// Reads them; `None` where only the usage was asked for.
    pub(super) fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self {
            short: false,
            rounds: 0,
            topologies: Vec::new(),
            document: None,
            only: None,
            gantry: None,
            mode: Mode::of(args),
        };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--help" => {
                    eprintln!("{HELP}");
                    return Ok(None);
                }
                "--short" => options.short = true,
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?;
                }
                "--on" => options.topologies.push(value()?.parse()?),
                "--gantry" => options.gantry = Some(value()?),
                "--only" => options.only = Some(value()?),
                "--document" => options.document = Some(value()?),
                "--no-install" => {}
                _ => return Err(format!("unknown argument {word}\n{HELP}")),
            }
        }
        if options.topologies.is_empty() {
            options.topologies.extend(Topology::ALL);
        }
        if options.rounds == 0 {
            options.rounds = if options.short { 1 } else { 7 };
        }
        Ok(Some(options))
    }
}

const HELP: &str = "usage: cargo xtask bench scale|gc [--short] [--rounds N] [--on files|replicas] [--gantry BINARY] [--document FILE]
  scale            lists and manifests among 1,000,000 tags, 100,000 repositories and 1,000,000 blobs
  gc               how fast garbage goes, what that does to clients, and what it costs beside much that lives; and
                   what deleting a manifest does to clients where 50,000 referrers or tags hang on it
  --short          few rows, in seconds: checks that all answers are right, and writes no document
  --rounds N       alternating rounds (default 7)
  --on TOPOLOGY    files: one process with SQLite; replicas: one process on PostgreSQL and SeaweedFS (default: both)
  --only PART      of gc: collection or deletion (default: both)
  --gantry BINARY  measure this binary instead of building one
  --document FILE  write the figures there instead of docs/benchmarks-scale.md";

/// What all stages of a run share.
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) load: Load,
    binary: Binary,
    folder: Folder,
}

const NEEDED: &[(&str, &str)] = &[("go", "golang-go"), ("openssl", "openssl")];

const SQLITE: [Need; 1] = [need("sqlite3", "sqlite3", "fills the database")];

const POSTGRES: [Need; 3] = [
    need("curl", "curl", "asks the S3 server"),
    need("psql", "postgresql-client-15", "fills the database"),
    need(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgresql-15",
        "the server runs on it",
    ),
];

impl Setup {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        require(NEEDED)?;
        for topology in &options.topologies {
            match topology {
                Topology::Files => ensure(&SQLITE, options.mode)?,
                Topology::Replicas => {
                    ensure(&POSTGRES, options.mode)?;
                    SEAWEEDFS.ensure(options.mode)?;
                }
            }
        }
        let folder = Folder::temporary("bench")?;
        Ok(Self {
            load: Load::build(folder.path())?,
            binary: Binary::obtain(options.gantry.as_deref(), folder.path())?,
            folder,
            options,
        })
    }

    /// The file that lists of requests are handed over in.
    pub(super) fn scratch_file(&self) -> PathBuf {
        self.folder.join("requests")
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
            Topology::Replicas => Some(Backing::start(setup.binary.path(), Durability::Synced)?),
        };
        Ok(Self {
            setup,
            topology,
            data: setup.folder.join(&format!("{name}-{topology}")),
            backing,
        })
    }

    /// Starts the server without waiting.
    pub(super) fn spawn(&self, more: &[(&str, &str)]) -> Result<Gantry, String> {
        let settings = self.settings();
        let settings = settings.iter().map(|(name, value)| (&**name, &**value));
        let settings: Vec<(&str, &str)> = settings.chain(more.iter().copied()).collect();
        Gantry::spawn(&self.setup.binary, &self.data, &settings)
    }

    /// Starts the server and waits until it is ready; the time that took.
    pub(super) fn serve(&self) -> Result<(Gantry, Duration), String> {
        let mut gantry = self.spawn(&[])?;
        let took = gantry.wait_ready(Duration::from_secs(60))?;
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
        self.backing
            .as_ref()
            .map_or_else(Vec::new, Backing::settings)
    }
}

/// How long statements wait for a running server's transaction.
const SQLITE_PATIENCE: &str = ".timeout 60000";

/// Seconds for statements that make millions of rows.
const SQL_LIMIT: u32 = 1_800;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Where the figures go unless told otherwise.
pub(super) fn document(options: &Options) -> Result<PathBuf, String> {
    match &options.document {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(workspace::root()?.join("docs/benchmarks-scale.md")),
    }
}
