//! `gantry secret`: secrets that are needed before the database exists.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use tenancy::secret::MasterKey;

use super::print;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a master key in a new file, for [secrets] master_key_file: all replicas must use the same one.
    New {
        /// The file, which must not exist.
        file: PathBuf,
    },
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::New { file } = self;
        anyhow::ensure!(!file.exists(), "{} already exists", file.display());
        MasterKey::load_or_create(&file)?;
        print(&format!(
            "{} holds a new master key: keep a copy, because without it the secrets in the database are lost",
            file.display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}
