//! `gantry gc`: controlling garbage collection, which runs in the serving processes.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Subcommand;
use db::clock::DatabaseClock;
use db::gc::outlook;
use jobs::gc::{Control, control, steer};
use jobs::once::Pass;
use model::{Clock, SystemClock};

use super::local::{self, Local};
use super::print;
use crate::{serve, stores};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show what is due, what is waiting to be deleted, and the current settings. Changes nothing: a dry run.
    Status,
    /// Collect everything due once, in this process, even while collection is paused, for runs at chosen times.
    Run,
    /// Pause collection until `resume`.
    Pause,
    /// Resume collection.
    Resume,
    /// Limit the number of blobs removed per minute; 0 for no limit. Overrides [gc] blobs_per_minute.
    Rate {
        /// Blobs per minute.
        blobs_per_minute: u64,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        stores::refuse_mismatch(&local.config, &local.db).await?;
        let mut steered = control(&local.db).await?;
        match self {
            Self::Status => {
                status(local, steered).await?;
                return Ok(ExitCode::SUCCESS);
            }
            Self::Run => return run_once(local).await,
            Self::Pause => steered.paused = true,
            Self::Resume => steered.paused = false,
            Self::Rate { blobs_per_minute } => steered.blobs_per_minute = Some(blobs_per_minute),
        }
        steer(&local.db, &local::system()?, steered, local.now()).await?;
        print("takes effect in all processes within a second");
        Ok(ExitCode::SUCCESS)
    }
}

async fn run_once(local: &Local) -> anyhow::Result<ExitCode> {
    let pass = pass(local).await?;
    if !pass.collect().await? {
        print("another `gantry gc run` is collecting: nothing was done here");
        return Ok(ExitCode::FAILURE);
    }
    let done = |count: &AtomicU64| count.load(Ordering::Relaxed);
    print(&format!(
        "{} links and {} blobs removed, {} objects and {} bytes deleted",
        done(&pass.progress.links),
        done(&pass.progress.blobs),
        done(&pass.progress.deleted),
        done(&pass.progress.freed)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Everything that a run needs.
async fn pass(local: &Local) -> anyhow::Result<Pass> {
    let Local { config, db, master } = local;
    let shared_clock = DatabaseClock::new(Arc::new(SystemClock));
    shared_clock.compare(db).await?;
    let clock: Arc<dyn Clock> = Arc::new(shared_clock);
    let stores = stores::verified(config, db).await?;
    Ok(Pass {
        db: db.clone(),
        registry: Arc::new(serve::registry(config, db, &clock, master, stores.joined())),
        clock,
        gc: serve::gc_settings(config),
        progress: Arc::default(),
        untagged_everywhere: None,
    })
}

async fn status(local: &Local, steered: Control) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let found = outlook(&mut tx, local.now()).await?;
    let rate = steered
        .blobs_per_minute
        .unwrap_or(local.config.gc.blobs_per_minute);
    print(&format!("paused: {}", steered.paused));
    print(&match rate {
        0 => "rate: no limit".to_owned(),
        rate => format!("rate: {rate} blobs per minute"),
    });
    print(&format!("links due for review: {}", found.due_links));
    print(&format!(
        "links that would be removed now: {}",
        found.garbage_links
    ));
    let objects = found.objects;
    print(&format!(
        "objects that wait to be deleted: {} ({} bytes)",
        objects.objects, objects.bytes
    ));
    if let Some(error) = objects.error {
        print(&format!(
            "objects that could not be deleted: {}, for example: {error}",
            objects.failing
        ));
    }
    Ok(())
}
