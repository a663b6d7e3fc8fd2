//! `gantry backup` and `gantry restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use auth::secret::MasterKey;
use clap::Args;
use db::{Db, Location};
use jobs::maintenance::backup::{self, Target};
use jobs::maintenance::check::Depth;
use jobs::stores::Stores;
use model::{Clock as _, SystemClock};

use super::local::{self, Local};
use super::out::line;
use crate::bootstrap;
use crate::config::Config;
use crate::folder;
use crate::stores;

#[derive(Args)]
pub(super) struct Backup {
    /// The folder to create.
    folder: PathBuf,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A folder created by `gantry backup`.
    folder: PathBuf,
    /// Read every byte of the blobs and compare digests before restoring anything.
    #[arg(long)]
    rehash: bool,
    /// Restore even if blobs are missing or damaged.
    #[arg(long)]
    without_blobs: bool,
    /// Bind the store to the restored database, as `gantry storage claim` does: needed if the store was claimed after
    /// the backup was made.
    #[arg(long)]
    claim: bool,
}

impl Backup {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        // Operators are told to keep this key: it has to be the right one.
        bootstrap::verify_master_key(&local.db, &local.master).await?;
        let done = backup::backup(&local.db, &self.folder).await?;
        line(&format!(
            "{} rows, {} blobs named: {}",
            done.rows,
            done.blobs,
            self.folder.display()
        ));
        line(&format!(
            "keep a copy of the master key ({}) elsewhere: without it, the secrets in the backup are lost",
            local.config.master_key().display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl Restore {
    /// Checks everything first, so that a refusal leaves the database unchanged. Can be run again.
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        folder::refuse_root(&config.server.data)?;
        let location = config.database();
        if let Location::Sqlite(_) = location {
            folder::make(&config.server.data)?;
        }
        let backup = backup::Backup::open(&self.folder)?;
        // Not created here: only the key that the backup was made with decrypts it.
        let master = MasterKey::load(&config.master_key())?;
        bootstrap::check_master_key(&master, backup.setting(bootstrap::CA)?.as_deref())?;
        let db = Db::open(&location).await?;
        let done = self.restore(&config, &backup, &db).await;
        db.close().await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn restore(
        &self,
        config: &Config,
        backup: &backup::Backup,
        db: &Db,
    ) -> anyhow::Result<()> {
        let target = backup.target(db).await?;
        let stores = stores::open(config).await?;
        if target == Target::Empty && !self.claim {
            refuse_foreign(backup, &stores).await?;
        }
        let depth = if self.rehash {
            Depth::Bytes
        } else {
            Depth::Sizes
        };
        let (blobs, wrong) = backup.look(&stores.joined(), depth, line).await?;
        anyhow::ensure!(
            wrong == 0 || self.without_blobs,
            "{wrong} of {blobs} blobs are missing or damaged; nothing was restored. Restore their objects and run this again, \
             or restore without them (--without-blobs)"
        );
        match target {
            Target::Empty => {
                let rows = backup.restore(db).await?;
                line(&format!("{rows} rows restored"));
            }
            Target::Restored => line("this backup was already restored: nothing was changed"),
        }
        self.tie(db, &stores).await?;
        line(&format!("{blobs} blobs named"));
        line(&match wrong {
            0 => "all of them are present".to_owned(),
            wrong => format!("{wrong} of them are missing or damaged"),
        });
        Ok(())
    }

    /// Binds the restored database to the stores in the settings.
    async fn tie(&self, db: &Db, stores: &Stores) -> anyhow::Result<()> {
        let now = SystemClock.now();
        if self.claim {
            jobs::stores::claim(db, stores, &local::system()?, now).await?;
            line("the store is now bound to the restored database");
        } else {
            jobs::stores::follow_restore(db, stores, now).await?;
        }
        Ok(())
    }
}

/// Refuses a store that was claimed since the backup was made, or is another installation's.
async fn refuse_foreign(backup: &backup::Backup, stores: &Stores) -> anyhow::Result<()> {
    let Some(expected) = backup.installation()? else {
        return Ok(());
    };
    if let Some((place, found)) = jobs::stores::foreign(stores, expected).await? {
        anyhow::bail!(
            "{place} belongs to installation {found}, the backup to {expected}; nothing was restored. Is [storage] wrong, \
             or is this another installation's backup? If the store was claimed after the backup was made, restore \
             with --claim: it then belongs to the restored database, and objects that are not in it are deleted"
        );
    }
    Ok(())
}
