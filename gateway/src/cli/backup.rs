//! `gantry backup` and `gantry restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use db::{Db, Location};
use jobs::maintenance::backup::{self, Target};
use jobs::maintenance::check::Depth;
use jobs::stores::{Binding, Stores};
use model::{Clock as _, SystemClock};
use tenancy::secret::MasterKey;

use super::local::{self, Local};
use super::out::line;
use super::progress::Shown;
use super::storage;
use crate::bootstrap;
use crate::config::Config;
use crate::data_lock;
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
    /// the backup was made, or has objects but no identity. Objects that are not in the backup are deleted then.
    #[arg(long)]
    claim: bool,
    /// Do not ask before a claim.
    #[arg(long, requires = "claim")]
    yes: bool,
}

impl Backup {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        // Operators are told to keep this key, so it must be the right one.
        bootstrap::verify_master_key(&local.db, &local.master).await?;
        let shown = Shown::new();
        let writing = backup::backup(&local.db, &self.folder, shown.progress());
        let done = shown.during(writing).await?;
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
    /// Checks everything first, then writes: a refusal leaves database and store unchanged. Can be run again.
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        folder::refuse_root(&config.server.data)?;
        let location = config.database();
        let backup = backup::Backup::open(&self.folder)?;
        // Not created here: only the backup's own key decrypts it.
        let master = MasterKey::load(&config.master_key())?;
        bootstrap::check_master_key(&master, backup.installation(bootstrap::CA)?.as_deref())?;
        let _lock = match location {
            Location::Postgres(_) => None,
            // A server may still write to a database that was moved from here.
            Location::Sqlite(_) => {
                folder::make(&config.server.data)?;
                Some(data_lock::take_for_restore(&config.server.data)?)
            }
        };
        match target(&location, &backup).await? {
            Target::Empty => self.restore(&config, &location, &backup).await,
            Target::Restored => self.compare(&config, &location, &backup).await,
        }
    }

    async fn restore(
        &self,
        config: &Config,
        location: &Location,
        backup: &backup::Backup,
    ) -> anyhow::Result<ExitCode> {
        let stores = stores::open(config).await?;
        let now = SystemClock.now();
        let looked_at = if self.claim {
            Binding::claimed(&stores, &local::system()?, now).await
        } else {
            Binding::of_backup(&stores, backup.origin()?, now).await
        };
        let binding = looked_at.context(NOTHING)?;
        let found = self.look(backup, &stores).await?;
        if self.claim && !self.is_confirmed(&stores, &found).await.context(NOTHING)? {
            line(NOTHING);
            return Ok(ExitCode::FAILURE);
        }
        let db = Db::open(location).await?;
        let done = self.write(&db, backup, &stores, binding).await;
        db.close().await;
        done?;
        found.tell();
        Ok(ExitCode::SUCCESS)
    }

    /// Prints what a claim would do, and asks.
    async fn is_confirmed(&self, stores: &Stores, found: &Found) -> anyhow::Result<bool> {
        let objects = storage::objects(stores).await?;
        line(&format!(
            "the store has {objects} objects; the backup names {} blobs and finds {} of them: all other objects will be deleted",
            found.blobs,
            found.blobs - found.wrong
        ));
        if self.yes {
            return Ok(true);
        }
        storage::is_confirmed()
    }

    async fn write(
        &self,
        db: &Db,
        backup: &backup::Backup,
        stores: &Stores,
        binding: Binding,
    ) -> anyhow::Result<()> {
        let shown = Shown::new();
        let restoring = backup.restore(db, binding, shown.progress());
        let rows = shown.during(restoring).await.context(NOTHING)?;
        line(&format!("{rows} rows restored"));
        if self.claim {
            line("the store is now bound to the restored database");
            line(&storage::unnamed(db, stores).await?);
        }
        Ok(())
    }

    /// Compares the result of an earlier run, and writes nothing: the installation may have been used since.
    async fn compare(
        &self,
        config: &Config,
        location: &Location,
        backup: &backup::Backup,
    ) -> anyhow::Result<ExitCode> {
        line("this backup was already restored: nothing was changed");
        anyhow::ensure!(
            !self.claim,
            "--claim is for a restore into an empty database: to bind the store to this one, run `gantry storage claim`"
        );
        let db = Db::open(location).await?;
        let stores = stores::verified(config, &db).await;
        db.close().await;
        self.look(backup, &stores?).await?.tell();
        Ok(ExitCode::SUCCESS)
    }

    /// Looks for every blob that the backup names, and prints those that are missing or damaged.
    async fn look(&self, backup: &backup::Backup, stores: &Stores) -> anyhow::Result<Found> {
        let depth = if self.rehash {
            Depth::Bytes
        } else {
            Depth::Sizes
        };
        let (shown, store) = (Shown::new(), stores.joined());
        let finding = |text: &str| shown.line(text);
        let looking = backup.look(&store, depth, finding, shown.progress());
        let (blobs, wrong) = shown.during(looking).await?;
        anyhow::ensure!(
            wrong == 0 || self.without_blobs,
            "{wrong} of {blobs} blobs are missing or damaged; {NOTHING}. Restore their objects and run this again, \
             or restore without them (--without-blobs)"
        );
        Ok(Found { blobs, wrong })
    }
}

/// Part of every refusal.
const NOTHING: &str = "nothing was restored";

/// The blobs that a backup names.
struct Found {
    blobs: u64,
    wrong: u64,
}

impl Found {
    fn tell(&self) {
        line(&format!("{} blobs named", self.blobs));
        line(&match self.wrong {
            0 => "all of them are present".to_owned(),
            wrong => format!("{wrong} of them are missing or damaged"),
        });
    }
}

/// What is there before a restore. A missing database is not created for this, and an older one is not migrated.
async fn target(location: &Location, backup: &backup::Backup) -> anyhow::Result<Target> {
    if let Location::Sqlite(path) = location
        && !path.exists()
    {
        return Ok(Target::Empty);
    }
    let migrations = Db::migrations(location).await?;
    let applied = migrations.iter().filter(|known| known.applied).count();
    if applied == 0 {
        return Ok(Target::Empty);
    }
    anyhow::ensure!(
        applied == migrations.len(),
        "the database has an older schema, so it is not empty: a backup is restored into a new one"
    );
    let db = Db::open(location).await?;
    let target = backup.target(&db).await;
    db.close().await;
    Ok(target?)
}
