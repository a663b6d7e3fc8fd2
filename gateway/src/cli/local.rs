//! What commands share that work on the database beside a serving process: it notices their writes
//! within 100 ms.

use std::process::ExitCode;
use std::sync::Arc;

use auth::secret::MasterKey;
use db::audit::{self, Actor, NewEntry};
use db::{Db, Location, Tx};
use futures_util::future::BoxFuture;
use model::{Clock as _, ProjectId, SystemClock, Timestamp};
use policy::{Caller, SystemPermit, permit};
use tokio::runtime::{Builder, Runtime};

use crate::bootstrap;
use crate::config::Config;

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

/// Refuses a data folder without a database: commands make none.
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
    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// The audit entry of a change that this command makes.
    pub(super) fn entry(
        &self,
        operation: &'static str,
        resource_type: &'static str,
        resource: &str,
        project: Option<ProjectId>,
    ) -> NewEntry {
        entry(operation, resource_type, resource, project)
    }

    /// Makes a change and writes its audit entry, in one transaction: neither is there without the other. What the
    /// entry says may depend on what the change finds.
    pub(super) async fn change<T, F>(&self, mut entry: NewEntry, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx, &'t mut NewEntry) -> BoxFuture<'t, anyhow::Result<T>>
            + Send
            + 'static,
    {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let done = work(tx, &mut entry).await?;
                    audit::append(tx, &entry).await?;
                    Ok(done)
                })
            })
            .await
    }

    /// As [`Local::change`], for what changes something of a project, which stays until the end.
    pub(super) async fn change_in<T, F>(
        &self,
        project: ProjectId,
        mut entry: NewEntry,
        work: F,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx, &'t mut NewEntry) -> BoxFuture<'t, anyhow::Result<T>>
            + Send
            + 'static,
    {
        self.db
            .write_in(project, move |tx| {
                Box::pin(async move {
                    let done = work(tx, &mut entry).await?;
                    audit::append(tx, &entry).await?;
                    Ok(done)
                })
            })
            .await
    }
}

/// Whoever runs commands may administer the system.
pub(super) fn system() -> anyhow::Result<SystemPermit> {
    Ok(permit::permit_system(&Caller::command_line())?)
}

/// The audit entry of a change that a command makes.
pub(super) fn entry(
    operation: &'static str,
    resource_type: &'static str,
    resource: &str,
    project: Option<ProjectId>,
) -> NewEntry {
    let kind = (operation, resource_type);
    actor().change(SystemClock.now(), kind, resource.to_owned(), project)
}

/// What the audit log calls whoever runs commands.
pub(super) fn actor() -> Actor {
    Actor {
        account: None,
        name: "command line".to_owned(),
        address: String::new(),
    }
}
