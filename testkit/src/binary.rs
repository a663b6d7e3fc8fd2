//! The program under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cmd::succeed;
use crate::workspace;

#[derive(Clone)]
pub struct Binary {
    program: PathBuf,
    log: Option<PathBuf>,
}

impl Binary {
    /// The program at this path, as it is.
    pub fn at(path: &Path) -> Self {
        Self {
            program: path.to_owned(),
            log: None,
        }
    }

    /// The same with the log of its servers in this file, and not beside their data.
    pub fn logging_to(&self, log: &Path) -> Self {
        Self {
            program: self.program.clone(),
            log: Some(log.to_owned()),
        }
    }

    /// Where a server with this data folder writes its log.
    pub(crate) fn log(&self, data: &Path) -> PathBuf {
        let beside = || PathBuf::from(format!("{}.log", data.display()));
        self.log.clone().unwrap_or_else(beside)
    }

    /// Takes the given binary, or that of `GANTRY_BIN`, or builds one; and copies it into `folder`, so that a rebuild
    /// does not change it midway.
    pub fn obtain(given: Option<&str>, folder: &Path) -> Result<Self, String> {
        let named = given.map(PathBuf::from);
        let built = match named.or_else(|| std::env::var_os("GANTRY_BIN").map(PathBuf::from)) {
            Some(path) => path,
            None => build()?,
        };
        let copy = folder.join("gantry");
        // Not by this process: a program that another thread starts meanwhile would hold the copy open for writing.
        succeed(Command::new("cp").arg(&built).arg(&copy))?;
        Ok(Self::at(&copy))
    }

    /// A command without the settings of the caller's shell, which are not part of the test.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        forget_settings(&mut command);
        command
    }

    pub fn path(&self) -> &Path {
        &self.program
    }

    /// A sub-command on a data folder, run to its end.
    pub fn run(&self, words: &[&str], data: &Path) -> Result<String, String> {
        succeed(self.command().args(words).arg("--data").arg(data))
    }

    /// What `gantry version` says, on one line.
    pub fn version(&self) -> String {
        let text = succeed(self.command().arg("version")).unwrap_or_default();
        text.lines().next().unwrap_or("gantry").to_owned()
    }
}

/// Keeps what is set for Gantry in our own environment from a command.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GANTRY_") {
            command.env_remove(name);
        }
    }
}

fn build() -> Result<PathBuf, String> {
    eprintln!("building gantry");
    let profile = workspace::profile();
    workspace::cargo(&format!("build --profile {profile} --bin gantry")).show()?;
    workspace::program(&profile, "gantry")
}
