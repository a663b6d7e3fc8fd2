//! One `gantry serve` process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ADMIN_PASSWORD;
use crate::cmd::{Cmd, last_lines};
use crate::daemon::Daemon;

/// The process; dropping it stops it. The data folder is its maker's, and its log lies beside it.
pub(super) struct Server {
    daemon: Daemon,
    metrics: String,
    data: PathBuf,
}

impl Server {
    /// Starts `command` (the binary, possibly under another program) with the usual arguments, the log
    /// beside the data folder and `settings` in the environment, and does not wait.
    pub(super) fn spawn(
        mut command: Command,
        data: &Path,
        listen: &str,
        metrics: String,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", listen, "--metrics-listen", &metrics])
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .envs(settings.iter().map(|(name, value)| (name, value)));
        Ok(Self {
            daemon: Daemon::start("gantry", command, &log_beside(data))?,
            metrics,
            data: data.to_owned(),
        })
    }

    /// Waits until it says that it is ready.
    pub(super) fn wait_ready(&mut self) -> Result<(), String> {
        let url = format!("http://{}/readyz", self.metrics);
        self.daemon.wait_until(Duration::from_secs(60), || {
            Cmd::local("curl")
                .words("-sf -o /dev/null --max-time 5")
                .arg(&url)
                .run()
                .is_ok()
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Fails where it has ended, or where something in it has panicked.
    pub(super) fn check_alive(&mut self) -> Result<(), String> {
        self.daemon.check_alive()?;
        match self.daemon.log().lines().find(|line| line.contains(PANIC)) {
            Some(line) => Err(format!("the log says {line}")),
            None => Ok(()),
        }
    }

    /// `HOST:PORT` of the listener for metrics and health.
    pub(super) fn metrics(&self) -> &str {
        &self.metrics
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Asks it to end, and fails where it does not, or where its log holds an error or a panic.
    pub(super) fn finish(&mut self) -> Result<Duration, String> {
        let took = self.daemon.stop(Duration::from_secs(30))?;
        let log = self.daemon.log();
        let bad: Vec<&str> = log.lines().filter(|line| is_error(line)).collect();
        if bad.is_empty() {
            return Ok(took);
        }
        Err(format!(
            "{} errors in the log: {}",
            bad.len(),
            last_lines(&bad.join("\n"))
        ))
    }
}

/// A line of the server's log that means a person must act.
fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(r#""level":"ERROR""#) || line.contains(PANIC)
}

const PANIC: &str = "panicked at";

fn log_beside(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(OsString::from(".log"));
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).ok();
    }
    PathBuf::from(name)
}
