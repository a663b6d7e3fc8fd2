//! `gantry db`.

use std::process::ExitCode;

use clap::Subcommand;
use db::{Db, Location};
use model::{Clock as _, SystemClock};

use super::{local, print};
use crate::bootstrap;
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Bring the schema up to date, as every start does.
    Migrate,
    /// Show which migrations the database has and which this program would add; exit code 1 if any is missing.
    Status,
    /// Discard the secrets encrypted with a lost master key: the CA's key and the token keys. The next start creates
    /// new ones; clients then have to trust the new CA, and `audit verify` needs an exported head for existing entries.
    ForgetSecrets,
}

impl Command {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let location = config.database();
        local::refuse_absent(&location)?;
        if let Self::ForgetSecrets = self {
            return forget_secrets(config, &location).await;
        }
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

async fn forget_secrets(config: &Config, location: &Location) -> anyhow::Result<ExitCode> {
    let key = config.master_key();
    anyhow::ensure!(
        !key.exists(),
        "there is a master key, {}: move it away if it is not the one that this database was made with",
        key.display()
    );
    let db = Db::open(location).await?;
    if bootstrap::has_sealed(&db).await? {
        bootstrap::forget_sealed(&db, &local::system()?, SystemClock.now()).await?;
        print("the CA's key and the token keys are discarded; the next start creates new ones");
    } else {
        print("the database has no encrypted secrets");
    }
    db.close().await;
    Ok(ExitCode::SUCCESS)
}
