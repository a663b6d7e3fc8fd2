//! The program that makes the load: our own client in Go, which answers with figures by name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cmd::succeed;
use crate::process::Processes;
use crate::target::Target;
use crate::workspace;

/// Figures of one measurement by name; `rate`, `cpu_s`, `p99_ms` and so on.
pub type Figures = BTreeMap<String, f64>;

/// The client of `xtask/load`, built for this run.
pub struct Load {
    program: PathBuf,
}

impl Load {
    /// Builds the client.
    pub fn build(folder: &Path) -> Result<Self, String> {
        let program = folder.join("load");
        let source = workspace::root()?.join("testkit/load");
        let mut build = Command::new("go");
        build
            .current_dir(source)
            .args(["build", "-o"])
            .arg(&program)
            .arg(".");
        // Nothing is fetched: the client has no dependencies.
        build
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0");
        succeed(&mut build)?;
        Ok(Self { program })
    }

    /// One of its sub-commands, ready to be started.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        target: &Target,
        server: Option<&Processes>,
        args: &[S],
    ) -> Command {
        let (name, rest) = args.split_first().expect("a sub-command is given");
        let mut command = Command::new(&self.program);
        command
            .arg(name)
            .arg("-url")
            .arg(&target.url)
            .arg("-ca")
            .arg(&target.ca);
        if let Some(server) = server {
            command.arg("-pids").arg(server.list());
        }
        if let Some((user, password)) = &target.login {
            command
                .arg("-user")
                .arg(user)
                .env("LOAD_PASSWORD", password);
        }
        command.args(rest).stdin(Stdio::null());
        command
    }

    /// A sub-command that does not speak to the server under test.
    pub fn plain(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).stdin(Stdio::null());
        command
    }

    /// Runs a sub-command to its end.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        target: &Target,
        server: Option<&Processes>,
        args: &[S],
    ) -> Result<Figures, String> {
        let output = succeed(&mut self.command(target, server, args))?;
        Ok(figures_of(&output))
    }
}

/// What [`succeed`] says of an output that came another way.
pub fn outcome(command: &Command, output: Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let words: Vec<String> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{} {} ({}):\n{text}{errors}",
        command.get_program().display(),
        words.join(" "),
        output.status
    ))
}

/// Reads `key value` lines; what is no number is left out.
pub fn figures_of(text: &str) -> Figures {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// The value of a `key value` line that is no number.
pub fn word_of(text: &str, key: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .map(str::to_owned)
}
