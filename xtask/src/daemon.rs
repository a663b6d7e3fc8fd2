//! A program that stays up for a while: started with its output in a log file, awaited until it is
//! ready, ended when dropped. Programs that run to their end are `cmd`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cmd::{PROXIES, last_lines};
use crate::install;

/// A running child process. Dropping it ends it: politely first, then by force.
pub(crate) struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
    signal: &'static str,
}

impl Daemon {
    /// Starts `command` with its output at the end of `log`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
    ) -> Result<Self, String> {
        for proxy in PROXIES {
            command.env_remove(proxy);
        }
        command.env("PATH", install::path());
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        // Appended to: what one life of a server said is not lost when it starts again.
        let mut options = File::options();
        let out = options
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
            signal: "TERM",
        })
    }

    /// The signal that asks this program to end. Default: TERM.
    pub(crate) fn ended_by(mut self, signal: &'static str) -> Self {
        self.signal = signal;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` holds; fails when the program ends before, or when `limit` has passed.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        ready: impl Fn() -> bool,
    ) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if ready() {
                return Ok(());
            }
            let ended = self.child.try_wait();
            if let Ok(Some(status)) = ended {
                return Err(self.report(&format!("ended at once with {status}")));
            }
            if start.elapsed() > limit {
                return Err(self.report(&format!("was not ready within {} s", limit.as_secs())));
            }
            thread::sleep(POLL);
        }
    }

    /// Fails where the program has ended.
    pub(crate) fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.report(&format!("ended with {status}"))),
            Err(error) => Err(format!("cannot look after {}: {error}", self.name)),
        }
    }

    /// What the program has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks the program to end and waits for it; `Ok` holds the time that took.
    pub(crate) fn stop(&mut self, limit: Duration) -> Result<Duration, String> {
        self.stop_by(self.signal, limit)
    }

    /// The same with another signal than usual.
    pub(crate) fn stop_by(&mut self, signal: &str, limit: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(self.report(&format!("had already ended with {status}")));
        }
        send(signal, self.pid());
        while start.elapsed() < limit {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(start.elapsed());
            }
            thread::sleep(POLL);
        }
        self.child.kill().ok();
        self.child.wait().ok();
        Err(self.report(&format!("did not end within {} s", limit.as_secs())))
    }

    fn report(&self, what: &str) -> String {
        format!("{} {what}: {}", self.name, last_lines(&self.log()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.stop(Duration::from_secs(20)).ok();
    }
}

/// The same command once more: starting one consumes it.
pub(crate) fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Sends a signal to one process; that it may be gone already is not an error.
pub(crate) fn send(signal: &str, pid: u32) {
    Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status()
        .ok();
}
