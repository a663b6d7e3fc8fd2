//! What processes take of CPU and memory, and how busy the machine is beside them.

use std::fs;
use std::time::Instant;

/// Processes whose CPU time and memory count together: these and, whenever they are looked at, their
/// children, since nginx has workers and PostgreSQL a process for each connection.
#[derive(Clone, Default)]
pub struct Processes(Vec<u32>);

impl Processes {
    pub fn of(pids: impl IntoIterator<Item = u32>) -> Self {
        Self(pids.into_iter().collect())
    }

    /// The pids with commas between them, without the children, as programs take them that find those
    /// themselves.
    pub fn list(&self) -> String {
        let pids: Vec<String> = self.0.iter().map(u32::to_string).collect();
        pids.join(",")
    }

    /// Seconds of user and system time so far, also of children that have ended.
    pub fn cpu_seconds(&self) -> f64 {
        self.sum(ticks) / TICKS_PER_SECOND
    }

    /// Resident memory now, in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "VmRSS:"))
    }

    /// The part of it that is not the page cache's, in MiB.
    pub fn anonymous_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "RssAnon:"))
    }

    /// The highest resident memory since the start or the last [`Processes::reset_peak`], in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.sum(|pid| status_mib(pid, "VmHWM:"))
    }

    /// Lets the kernel forget the peak.
    pub fn reset_peak(&self) {
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

fn status_mib(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// CPU time of the whole machine and of ourselves and our ended children: what is left over after the server's
/// share is other people's, and says how quiet the machine was.
#[derive(Clone, Copy)]
pub struct Machine {
    busy: f64,
    children: f64,
    at: Instant,
}

impl Machine {
    pub fn now() -> Self {
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
        let children = own.get(13..17).map_or(0.0, |f| f.iter().sum());
        Self {
            busy: busy / TICKS_PER_SECOND,
            children: children / TICKS_PER_SECOND,
            at: Instant::now(),
        }
    }

    /// The share of all cores that went to neither the server nor our clients since `self`.
    pub fn foreign_share(self, server_cpu: f64) -> f64 {
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
