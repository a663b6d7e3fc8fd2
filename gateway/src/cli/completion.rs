//! `gantry completion` and `gantry man`: what shells and `man` know of the command line, made from its declarations.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use super::{out, print};

#[derive(Args)]
pub(super) struct Completion {
    /// The shell.
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self, mut command: Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "gantry", &mut script);
        out::block(&String::from_utf8(script)?);
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(super) struct Man {
    /// The folder to write the pages into, one for each command; it must exist.
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self, command: Command) -> anyhow::Result<ExitCode> {
        let written = clap_mangen::generate_to(command, &self.folder);
        written.with_context(|| format!("cannot write to {}", self.folder.display()))?;
        print(&format!("man pages are in {}", self.folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}
