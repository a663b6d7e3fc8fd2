//! A program that stays up for a while: started with its output in a log file, awaited until it is
//! ready, ended when dropped. Programs that run to their end are `cmd`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cmd::{PROXIES, last_lines};
use crate::process::Processes;
use crate::program;

/// A running child process. Dropping it ends it: politely first, then by force.
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    signal: &'static str,
}

impl Daemon {
    /// Starts `command` with its output at the end of `log`: what one life of a server said is not lost when it
    /// starts again.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self, String> {
        for proxy in PROXIES {
            command.env_remove(proxy);
        }
        command.env("PATH", program::path());
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let mut options = File::options();
        let out = options.create(true).append(true).open(log);
        let out = out.map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Ok(Self {
            name: name.to_owned(),
            child: child.map_err(failed)?,
            log: log.to_owned(),
            signal: "TERM",
        })
    }

    /// The signal that ends this program when it is dropped or stopped. Default: TERM.
    pub fn ended_by(mut self, signal: &'static str) -> Self {
        self.signal = signal;
        self
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It and its children, to be watched.
    pub fn processes(&self) -> Processes {
        Processes::of([self.pid()])
    }

    /// Waits until `ready` holds; fails when the program ends before, or when
    /// `limit` has passed.
    pub fn wait_until(&mut self, limit: Duration, ready: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !ready() {
            self.check_alive()?;
            if start.elapsed() > limit {
                return Err(self.report(&format!("was not ready within {} s", limit.as_secs())));
            }
            thread::sleep(POLL * 10);
        }
        Ok(())
    }

    /// Fails where the program has ended.
    pub fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.report(&format!("ended early with {status}"))),
            Err(error) => Err(format!("cannot look after {}: {error}", self.name)),
        }
    }

    /// What the program has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn log_tail(&self) -> String {
        last_lines(&self.log())
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        send(name, self.pid());
    }

    /// SIGSTOP, then waits until no thread is within a system call any more; SIGCONT lets it go on.
    pub fn freeze(&self) -> Result<(), String> {
        self.signal("STOP");
        let start = Instant::now();
        while !is_stopped(self.pid()) {
            if start.elapsed() > Duration::from_secs(30) {
                return Err(format!("{} does not stop", self.name));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// SIGKILL, and waits; that it has ended already is no error.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Asks the program to end and waits for it; `Ok` holds the time that took.
    pub fn stop(&mut self, limit: Duration) -> Result<Duration, String> {
        self.stop_by(self.signal, limit)
    }

    /// The same with another signal than usual.
    pub fn stop_by(&mut self, signal: &str, limit: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(self.report(&format!("had already ended with {status}")));
        }
        self.signal(signal);
        self.wait(limit).map(|_| start.elapsed())
    }

    /// Waits for the end of the program, which was asked for or is its own.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.kill();
        Err(self.report(&format!("did not end within {} s", limit.as_secs())))
    }

    fn report(&self, what: &str) -> String {
        format!("{} {what}: {}", self.name, self.log_tail())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(20)).ok();
    }
}

/// The same command once more: starting one consumes it.
pub fn copy(command: &Command) -> Command {
    copy_for(command.get_program(), command)
}

/// The same arguments and environment for another program.
pub fn copy_for(program: impl AsRef<OsStr>, command: &Command) -> Command {
    let mut copy = Command::new(program);
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
const POLL: Duration = Duration::from_millis(2);

/// Sends a signal to one process; that it may be gone already is not an error.
fn send(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(pid.to_string());
    kill.stderr(Stdio::null()).status().ok();
}

fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.all(|thread| {
        let text = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        text.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}
