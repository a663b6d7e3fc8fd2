//! One `gantry serve` process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ADMIN_PASSWORD;
use crate::cmd::{Cmd, last_lines};
use crate::daemon::{Daemon, copy};

/// The process; dropping it stops it. The data folder is its maker's, and its log lies beside it.
pub(super) struct Server {
    daemon: Daemon,
    /// What it was started by.
    command: Command,
    settings: Vec<(String, String)>,
    listen: String,
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
            daemon: Daemon::start("gantry", copy(&command), &log_beside(data))?,
            command,
            settings: settings.to_vec(),
            listen: listen.to_owned(),
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

    /// A crash: SIGKILL.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.daemon
            .stop_by("KILL", Duration::from_secs(10))
            .map(|_| ())
    }

    /// Starts one that has ended again, as it was started before, and waits until it is ready.
    pub(super) fn start_again(&mut self) -> Result<(), String> {
        self.daemon = Daemon::start("gantry", copy(&self.command), &log_beside(&self.data))?;
        self.wait_ready()
    }

    /// Its settings, as environment variables.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// `HOST:PORT` of the public listener.
    pub(super) fn listen(&self) -> &str {
        &self.listen
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Fails where it has ended, or where something in it has panicked.
    pub(super) fn check_alive(&mut self) -> Result<(), String> {
        self.daemon.check_alive()?;
        self.check_log(is_panic)
    }

    /// `HOST:PORT` of the listener for metrics and health.
    pub(super) fn metrics(&self) -> &str {
        &self.metrics
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Asks it to end, and fails where it does not.
    pub(super) fn stop(&mut self) -> Result<Duration, String> {
        self.daemon.stop(Duration::from_secs(30))
    }

    /// Fails where its log holds a line that `bad` picks.
    pub(super) fn check_log(&self, bad: fn(&str) -> bool) -> Result<(), String> {
        let log = self.daemon.log();
        let bad: Vec<&str> = log.lines().filter(|line| bad(line)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} errors in the log: {}",
            bad.len(),
            last_lines(&bad.join("\n"))
        ))
    }
}

/// A line of the server's log that means a person must act.
pub(super) fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(r#""level":"ERROR""#) || is_panic(line)
}

/// A line of the server's log that no failure around it excuses.
pub(super) fn is_panic(line: &str) -> bool {
    line.contains("panicked at")
}

fn log_beside(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(OsString::from(".log"));
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).ok();
    }
    PathBuf::from(name)
}
