//! `gantry backup` and `gantry restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use auth::secret::MasterKey;
use clap::Args;
use db::{Db, Location};
use jobs::backup;
use model::{Clock as _, SystemClock};

use super::local::Local;
use super::{print, storage};
use crate::bootstrap;
use crate::config::Config;

#[derive(Args)]
pub(super) struct Backup {
    /// The folder to make.
    folder: PathBuf,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A folder that `gantry backup` made.
    folder: PathBuf,
    #[command(flatten)]
    check: storage::Check,
}

impl Backup {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let done = backup::backup(&local.db, &self.folder).await?;
        print(&format!(
            "{} rows, {} blobs named: {}",
            done.rows,
            done.blobs,
            self.folder.display()
        ));
        print(&format!(
            "keep the master key ({}) elsewhere: without it the backup opens nothing",
            local.config.master_key().display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl Restore {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        let location = config.database();
        if let Location::Sqlite(_) = location {
            bootstrap::data_folder(&config.server.data)?;
        }
        // Not made here: only the one that the backup was made with opens it.
        let master = std::sync::Arc::new(MasterKey::load(&config.master_key())?);
        let db = Db::open(&location).await?;
        let done = backup::restore(&db, &self.folder).await?;
        print(&format!(
            "{} rows restored, {} blobs named",
            done.rows, done.blobs
        ));
        bootstrap::authority(&db, &master, SystemClock.now()).await?;
        let local = Local { config, db, master };
        let code = self.check.run(&local).await;
        local.db.close().await;
        code
    }
}
