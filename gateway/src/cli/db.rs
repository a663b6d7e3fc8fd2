//! `gantry db`.

use std::process::ExitCode;

use clap::Subcommand;
use db::Db;

use super::print;
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Bring the schema up to date, as every start does.
    Migrate,
    /// Say which migrations the database has, and which this program would add; exit code 1 where one is missing.
    Status,
}

impl Command {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let location = config.database();
        if let Self::Migrate = self {
            Db::open(&location).await?.close().await;
        }
        let mut complete = true;
        for migration in Db::migrations(&location).await? {
            let state = if migration.applied {
                "applied"
            } else {
                "missing"
            };
            print(&format!(
                "{} {}: {state}",
                migration.version, migration.name
            ));
            complete &= migration.applied;
        }
        Ok(if complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
