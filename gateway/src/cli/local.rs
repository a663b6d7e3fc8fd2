//! Shared by commands that work on the database beside a serving process, which notices their writes within 100 ms.

use std::process::ExitCode;
use std::sync::Arc;

use db::{Db, Location};
use model::{Clock, SystemClock, Timestamp};
use policy::system::SystemNeed;
use policy::{Caller, SystemPermit, permit};
use registry::Registry;
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::{bootstrap, serve, stores};

/// A command's view of the installation.
pub(super) struct Local {
    pub(super) config: Config,
    pub(super) db: Db,
    pub(super) master: Arc<MasterKey>,
}

/// Opens the installation and runs a command on it.
pub(super) fn run(
    config: Config,
    command: impl AsyncFnOnce(&Local) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    refuse_absent(&config.database())?;
    runtime()?.block_on(async {
        let db = Db::open(&config.database()).await?;
        let master = bootstrap::master_key(&config, &db).await?;
        let local = Local { config, db, master };
        let code = command(&local).await;
        local.db.close().await;
        code
    })
}

/// As [`run`], for a command that changes nothing: the schema must be complete, and the master key there.
pub(super) fn look(
    config: Config,
    command: impl AsyncFnOnce(&Local) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let location = config.database();
    refuse_absent(&location)?;
    runtime()?.block_on(async {
        let steps = Db::migrations(&location).await?;
        let missing = steps.iter().filter(|step| !step.applied);
        let missing: Vec<String> = missing.map(|step| step.version.to_string()).collect();
        anyhow::ensure!(
            missing.is_empty(),
            "the schema lacks {}, and this changes nothing: start the server with this version, or run `gantry db migrate`",
            missing.join(", ")
        );
        let db = Db::open(&location).await?;
        let master = Arc::new(MasterKey::load(&config.master_key())?);
        let local = Local { config, db, master };
        let code = command(&local).await;
        local.db.close().await;
        code
    })
}

/// Refuses a data folder without a database: commands do not create one.
pub(super) fn refuse_absent(location: &Location) -> anyhow::Result<()> {
    if let Location::Sqlite(path) = location {
        anyhow::ensure!(
            path.exists(),
            "there is no database at {}: name the data folder with --data, or run `gantry serve` first",
            path.display()
        );
    }
    Ok(())
}

/// A runtime for a command.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

impl Local {
    /// The settings of `/configurations`.
    pub(super) async fn settings(&self) -> anyhow::Result<Arc<Settings>> {
        let (db, master) = (self.db.clone(), self.master.clone());
        Ok(Settings::open(db, master, self.config.fixed_settings()?).await?)
    }

    /// The registry over the installation's stores.
    pub(super) async fn registry(&self) -> anyhow::Result<Registry> {
        let Self { config, db, master } = self;
        let stores = stores::verified(config, db).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(serve::registry(config, db, &clock, master, stores.joined()))
    }

    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

/// Anyone who can run commands may administer the system.
pub(super) fn system<N: SystemNeed>() -> anyhow::Result<SystemPermit<N>> {
    Ok(permit::permit_system(&Caller::command_line())?)
}
