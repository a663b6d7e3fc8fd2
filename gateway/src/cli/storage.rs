//! `gantry storage`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use storage::{BlobStore, Files};

use super::local::Local;
use super::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Compare the database with the stored objects; exit code 1 where something is missing. Runs
    /// beside a serving process.
    Check {
        /// Read every byte again and compare digests.
        #[arg(long)]
        rehash: bool,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        let Self::Check { rehash } = self;
        let store: Arc<dyn BlobStore> = Arc::new(Files::open(&local.config.blobs())?);
        let report = jobs::check::check(&local.db, &store, rehash).await?;
        for finding in &report.findings {
            print(finding);
        }
        print(&format!(
            "{} blobs, {} bytes checked",
            report.blobs, report.bytes
        ));
        if report.findings.is_empty() {
            print("everything is there");
            return Ok(ExitCode::SUCCESS);
        }
        Ok(ExitCode::FAILURE)
    }
}
