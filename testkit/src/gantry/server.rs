//! One `gantry serve` process.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::binary::Binary;
use crate::cmd::last_lines;
use crate::daemon::{Daemon, copy, copy_for};
use crate::port::loopback;
use crate::scratch::make_folder;
use crate::target::{ADMIN_PASSWORD, Target, get};

/// The process; dropping it kills it. The data folder is its maker's, and its log lies beside it.
pub struct Server {
    pub daemon: Daemon,
    pub target: Target,
    pub data: PathBuf,
    /// What it was started by.
    command: Command,
    settings: Vec<(String, String)>,
    metrics: String,
    log: PathBuf,
    started: Instant,
}

impl Server {
    /// Starts the binary on free loopback ports and waits until it is ready.
    pub fn start(binary: &Binary, data: &Path) -> Result<Self, String> {
        let mut server = Self::spawn(binary, data, &[])?;
        server.wait_ready()?;
        Ok(server)
    }

    /// Starts it without waiting, with `settings` as environment variables.
    pub fn spawn(
        binary: &Binary,
        data: &Path,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let (listen, metrics, log) = (loopback()?, loopback()?, binary.log(data));
        Self::run(binary.command(), data, &listen, metrics, settings, log)
    }

    /// Starts `command` (the binary, possibly under another program) with the usual arguments, the log
    /// beside the data folder and `settings` in the environment, and does not wait.
    pub fn by(
        command: Command,
        data: &Path,
        listen: &str,
        metrics: String,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let log = PathBuf::from(format!("{}.log", data.display()));
        Self::run(command, data, listen, metrics, settings, log)
    }

    fn run(
        mut command: Command,
        data: &Path,
        listen: &str,
        metrics: String,
        settings: &[(String, String)],
        log: PathBuf,
    ) -> Result<Self, String> {
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", listen, "--metrics-listen", &metrics])
            .env("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .envs(settings.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        Ok(Self {
            daemon: run(&command, &log)?,
            target: Target::gantry(listen, data.join("certs/ca.crt")),
            data: data.to_owned(),
            command,
            settings: settings.to_vec(),
            metrics,
            log,
            started,
        })
    }

    /// Waits for 200 from `/readyz` and for the public port; the time since the start.
    pub fn wait_ready(&mut self) -> Result<Duration, String> {
        while self.started.elapsed() < Duration::from_secs(60) {
            if get(&self.metrics, "/readyz").is_ok_and(|(status, _)| status == 200)
                && TcpStream::connect(self.listen()).is_ok()
            {
                return Ok(self.started.elapsed());
            }
            self.daemon.check_alive()?;
            sleep(Duration::from_millis(1));
        }
        let log = self.daemon.log_tail();
        Err(format!("gantry is not ready after 60 s:\n{log}"))
    }

    /// Starts one that has ended again, as it was started before, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.started = Instant::now();
        self.daemon = run(&self.command, &self.log)?;
        self.wait_ready().map(drop)
    }

    /// Lets `binary` take over from the running process, and waits until that has ended well and the successor is
    /// ready; the time it took. Only for a server that runs the binary itself, under no other program.
    pub fn hand_over(&mut self, binary: &Binary) -> Result<Duration, String> {
        self.started = Instant::now();
        self.command = copy_for(binary.path(), &self.command);
        let mut command = copy(&self.command);
        command.arg("--take-over");
        let successor = run(&command, &self.log)?;
        self.daemon.signal("QUIT");
        let mut before = std::mem::replace(&mut self.daemon, successor);
        while before.check_alive().is_ok() {
            self.daemon.check_alive()?;
            if self.started.elapsed() > HAND_OVER {
                let log = self.daemon.log_tail();
                return Err(format!("no hand-over within {HAND_OVER:?}:\n{log}"));
            }
            sleep(Duration::from_millis(10));
        }
        let status = before.wait(Duration::from_secs(1))?;
        if !status.success() {
            let log = self.daemon.log_tail();
            return Err(format!("who handed over ended with {status}:\n{log}"));
        }
        self.wait_ready()
    }

    /// A sub-command with its settings and data folder, for someone who watches the process.
    pub fn beside(&self, binary: &Binary, words: &str) -> Command {
        let mut command = binary.command();
        command
            .args(words.split_whitespace())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .arg("--data")
            .arg(&self.data);
        command
    }

    /// `HOST:PORT` of the public listener.
    pub fn listen(&self) -> &str {
        self.target.address()
    }

    /// `HOST:PORT` of the listener for metrics and health.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// A metric without labels, as it is now.
    pub fn metric(&self, name: &str) -> Result<f64, String> {
        let (_, text) = get(&self.metrics, "/metrics")?;
        let value = |line: &str| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.trim().parse().ok()
        };
        let found = text.lines().find_map(value);
        found.ok_or(format!("there is no metric {name}"))
    }

    /// Fails where it has ended, or where something in it has panicked.
    pub fn check_alive(&mut self) -> Result<(), String> {
        self.daemon.check_alive()?;
        self.check_log(is_panic)
    }

    /// Asks it to end, and fails where it does not.
    pub fn stop(&mut self) -> Result<Duration, String> {
        self.daemon.stop_by("TERM", Duration::from_secs(30))
    }

    /// Fails where its log holds a line that `bad` picks.
    pub fn check_log(&self, bad: fn(&str) -> bool) -> Result<(), String> {
        let log = self.daemon.log();
        let bad: Vec<&str> = log.lines().filter(|line| bad(line)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let count = bad.len();
        let last = last_lines(&bad.join("\n"));
        Err(format!("{count} errors in the log: {last}"))
    }
}

/// How long the process before may drain.
const HAND_OVER: Duration = Duration::from_secs(45);

/// A line of the server's log that means a person must act.
pub(super) fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(r#""level":"ERROR""#) || is_panic(line)
}

/// A line of the server's log that no failure around it excuses.
pub(super) fn is_panic(line: &str) -> bool {
    line.contains("panicked at")
}

fn run(command: &Command, log: &Path) -> Result<Daemon, String> {
    if let Some(parent) = log.parent() {
        make_folder(parent)?;
    }
    let daemon = Daemon::start("gantry", copy(command), log)?;
    Ok(daemon.ended_by("KILL"))
}
