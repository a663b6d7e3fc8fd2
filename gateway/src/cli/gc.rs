//! `gantry gc`: steering the garbage collection, which runs in the serving processes.

use std::process::ExitCode;

use clap::Subcommand;
use db::gc::outlook;
use jobs::gc::{Control, control, steer};

use super::local::Local;
use super::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// What is due, what waits to be deleted, and how the collection is steered. Changes nothing: a dry run.
    Status,
    /// Collect nothing until `resume`.
    Pause,
    /// Collect again.
    Resume,
    /// Remove at most so many blobs in a minute; 0 for no bound. In place of [gc] blobs_per_minute.
    Rate {
        /// Blobs in a minute.
        blobs_per_minute: u64,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let mut steered = control(&local.db).await?;
        match self {
            Self::Status => {
                status(local, steered).await?;
                return Ok(ExitCode::SUCCESS);
            }
            Self::Pause => steered.paused = true,
            Self::Resume => steered.paused = false,
            Self::Rate { blobs_per_minute } => steered.blobs_per_minute = Some(blobs_per_minute),
        }
        let mut entry = local.entry("update", "configuration", "garbage collection", None);
        entry.detail = serde_json::to_string(&steered)?;
        local
            .db
            .write(move |tx| {
                Box::pin(async move {
                    steer(tx, steered).await?;
                    db::audit::append(tx, &entry).await
                })
            })
            .await?;
        print("all processes follow within a second");
        Ok(ExitCode::SUCCESS)
    }
}

async fn status(local: &Local, steered: Control) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let found = outlook(&mut tx, local.now()).await?;
    let rate = steered
        .blobs_per_minute
        .unwrap_or(local.config.gc.blobs_per_minute);
    print(&format!("paused: {}", steered.paused));
    print(&match rate {
        0 => "rate: no bound".to_owned(),
        rate => format!("rate: {rate} blobs a minute"),
    });
    print(&format!("links due for review: {}", found.due_links));
    print(&format!("links that would go now: {}", found.garbage_links));
    print(&format!(
        "blobs given up whose bytes are still stored: {} ({} bytes)",
        found.condemned, found.condemned_bytes
    ));
    Ok(())
}
