//! `gantry doctor`: looks at an installation from its server's machine, and packs what support needs.
//!
//! Checks run apart from one another and have a time limit each, so that one that fails or hangs stops no other. They
//! change nothing: what they write as a test they delete again, and a schema is not migrated.

mod address;
mod bundle;
mod certificate;
mod configuration;
mod database;
mod finding;
mod machine;
mod owner;
mod storage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use db::Db;
use serde_json::json;
use tenancy::secret::MasterKey;

use self::bundle::Bundle;
use self::finding::{Finding, Level};
use super::{local, out, print};
use crate::config::{Config, ConfigError};

/// Time limit for closing the database.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct Doctor {
    /// Print JSON, a finding per line.
    #[arg(long)]
    json: bool,
    /// Also pack what support needs into this file, which must not exist: a tar.gz without secrets.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// An open database with its master key.
#[derive(Clone)]
struct Opened {
    db: Db,
    master: Arc<MasterKey>,
}

impl Doctor {
    pub(super) fn run(&self, config: Config) -> anyhow::Result<ExitCode> {
        let runtime = local::runtime()?;
        let ended = runtime.block_on(self.look(Arc::new(config)));
        // Threads that hang in a check are not waited for.
        runtime.shutdown_background();
        ended
    }

    /// Says why the settings cannot be read, without which there is nothing else to look at.
    pub(super) fn run_without_settings(&self, error: &ConfigError) -> anyhow::Result<ExitCode> {
        self.show(&configuration::unreadable(error))?;
        anyhow::ensure!(
            self.bundle.is_none(),
            "there is no bundle, since it needs the settings"
        );
        Ok(ExitCode::FAILURE)
    }

    async fn look(&self, config: Arc<Config>) -> anyhow::Result<ExitCode> {
        let bundle = self.bundle.as_deref().map(Bundle::at).transpose()?;
        let (findings, db, opened) = examine(&config).await;
        self.show(&findings)?;
        let packed = match bundle {
            Some(bundle) => Some(bundle.pack((&config, opened), &findings).await?),
            None => None,
        };
        if let Some(db) = db {
            // Whether it can be closed in time changes nothing.
            let _ = tokio::time::timeout(PATIENCE, db.close()).await;
        }
        if let (Some(path), Some(names)) = (&self.bundle, packed) {
            self.show_packed(path, &names)?;
        }
        let has_failed = findings.iter().any(|it| it.level == Level::Fail);
        Ok(ExitCode::from(u8::from(has_failed)))
    }

    fn show(&self, findings: &[Finding]) -> anyhow::Result<()> {
        if self.json {
            return Ok(out::json_lines(findings)?);
        }
        for finding in findings {
            print(&finding.line());
        }
        Ok(())
    }

    fn show_packed(&self, path: &Path, names: &[&str]) -> anyhow::Result<()> {
        let path = path.display();
        if self.json {
            let line = json!({ "bundle": path.to_string(), "files": names });
            return Ok(out::json_lines(&[line])?);
        }
        print(&format!("{path} has {}", names.join(", ")));
        Ok(())
    }
}

/// All findings, in the order in which they are shown, and the database, as far as it could be opened.
async fn examine(config: &Arc<Config>) -> (Vec<Finding>, Option<Db>, Option<Opened>) {
    let given = || config.clone();
    let (configuration, owners, names, disk, address, (database, db)) = tokio::join!(
        configuration::check(given()),
        owner::check(given()),
        address::names(given()),
        machine::disk(given()),
        address::external(given()),
        database::open(given()),
    );
    let (key, master) = database::key(given(), db.clone()).await;
    let opened = db.clone().zip(master);
    let opened = opened.map(|(db, master)| Opened { db, master });
    let (clock, storage, certificates) = tokio::join!(
        database::clock(db.clone()),
        storage::check(given(), db.clone()),
        certificate::check(given(), opened.clone()),
    );
    let limits = machine::limits(config);
    let findings = [
        configuration,
        owners,
        names,
        clock,
        disk,
        limits,
        database,
        key,
        storage,
        certificates,
        address,
    ];
    (findings.concat(), db, opened)
}
