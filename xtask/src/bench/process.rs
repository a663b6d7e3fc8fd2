//! Servers as child processes, of which none outlives its guard; and what processes take of CPU and memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running server; dropping it kills the process and its children.
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts the command with its output in `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self, String> {
        let output = File::options().create(true).append(true).open(log);
        let output = output.map_err(|e| format!("cannot open {}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| e.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let child = child.map_err(|e| format!("cannot start {name}: {e}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It and its children, to be watched.
    pub(crate) fn processes(&self) -> Processes {
        Processes::of([self.pid()])
    }

    /// Fails if the process has ended, with the end of its log.
    pub(crate) fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!(
                "{} ended early ({status}):\n{}",
                self.name,
                self.log_tail()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) -> Result<(), String> {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("cannot send SIG{name} to {}: {other:?}", self.name)),
        }
    }

    /// SIGSTOP, then waits until no thread is within a system call any more; SIGCONT lets it go on.
    pub(crate) fn freeze(&self) -> Result<(), String> {
        self.signal("STOP")?;
        let end = Instant::now() + Duration::from_secs(30);
        while !is_stopped(self.pid()) {
            if Instant::now() > end {
                return Err(format!("{} does not stop", self.name));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// SIGKILL, then reap.
    pub(crate) fn kill(&mut self) {
        // SIGKILL does not reach the workers of nginx through their master, who must go first: it would
        // replace each worker that ends.
        let workers = family(self.pid()).into_iter().skip(1);
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in workers {
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(pid.to_string())
                .stderr(Stdio::null())
                .status();
        }
    }

    /// SIGTERM, and SIGKILL after `patience`; the exit status where it ended by itself.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        self.signal("TERM")?;
        self.wait(patience)
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
                return Ok(status);
            }
            sleep(Duration::from_millis(2));
        }
        self.kill();
        Err(format!(
            "{} did not end within {patience:?} of SIGTERM",
            self.name
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Processes whose CPU time and memory count together: these and, whenever they are looked at, their
/// children, since nginx has workers and PostgreSQL a process for each connection.
#[derive(Clone, Default)]
pub(crate) struct Processes(Vec<u32>);

impl Processes {
    pub(crate) fn of(pids: impl IntoIterator<Item = u32>) -> Self {
        Self(pids.into_iter().collect())
    }

    /// The pids with commas between them, without the children, as programs take them that find those
    /// themselves.
    pub(crate) fn list(&self) -> String {
        let pids: Vec<String> = self.0.iter().map(u32::to_string).collect();
        pids.join(",")
    }

    /// Seconds of user and system time so far, also of children that have ended.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.sum(ticks) / TICKS_PER_SECOND
    }

    /// Resident memory now, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "VmRSS:"))
    }

    /// The part of it that is not the page cache's, in MiB.
    pub(crate) fn anonymous_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "RssAnon:"))
    }

    /// The highest resident memory since the start or the last [`Processes::reset_peak`], in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "VmHWM:"))
    }

    /// Lets the kernel forget the peak.
    pub(crate) fn reset_peak(&self) {
        for pid in self.all() {
            // Not permitted everywhere; the peak is then that since the start.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn all(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|pid| family(*pid))
    }

    fn sum(&self, of: impl Fn(u32) -> f64) -> f64 {
        self.all().map(of).sum()
    }
}

/// A process and its children.
fn family(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    [pid].into_iter().chain(children).collect()
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

fn status_mib(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// CPU time of the whole machine and of our own ended children: what is left over after the server's
/// share is other people's, and says how quiet the machine was.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    busy: f64,
    children: f64,
    at: Instant,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields: Vec<f64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|field| field.parse().ok())
            .collect();
        // user, nice, system, then irq, softirq, steal: all but idle and iowait.
        let busy: f64 = fields
            .iter()
            .enumerate()
            .filter(|(i, _)| ![3, 4].contains(i) && *i < 8)
            .map(|(_, v)| v)
            .sum();
        let own = stat_fields(std::process::id());
        let children = own.get(15..17).map_or(0.0, |f| f.iter().sum());
        Self {
            busy: busy / TICKS_PER_SECOND,
            children: children / TICKS_PER_SECOND,
            at: Instant::now(),
        }
    }

    /// The share of all cores that went to neither the server nor our client since `self`.
    pub(crate) fn foreign_share(self, server_cpu: f64) -> f64 {
        let now = Self::now();
        let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let foreign = (now.busy - self.busy) - (now.children - self.children) - server_cpu;
        (foreign / (now.at - self.at).as_secs_f64() / cores).clamp(0.0, 1.0)
    }
}

const TICKS_PER_SECOND: f64 = 100.0;

/// The fields of /proc/PID/stat as numbers, counted from 1 as proc(5) does, minus one for the start.
fn stat_fields(pid: u32) -> Vec<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Two fields stand before this rest; the state letter becomes 0.
    let fields = rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0));
    [0.0, 0.0].into_iter().chain(fields).collect()
}

fn ticks(pid: u32) -> f64 {
    // utime, stime, cutime, cstime
    stat_fields(pid)
        .get(13..17)
        .map_or(0.0, |fields| fields.iter().sum())
}
