//! Where a server's time goes, as `perf` sees it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use testkit::cmd::succeed;
use testkit::process::Processes;

/// A recording by perf of some processes.
pub(super) struct Profile {
    recorder: Child,
    data: PathBuf,
    text: PathBuf,
}

impl Profile {
    pub(super) fn begin(processes: &Processes, case: &str) -> Result<Self, String> {
        let stem = format!("gantry-profile-{}-{case}", std::process::id());
        let (data, text) = (
            std::env::temp_dir().join(format!("{stem}.data")),
            std::env::temp_dir().join(format!("{stem}.txt")),
        );
        let mut command = Command::new("perf");
        command
            .args(["record", "-q", "-F", "499", "-p", &processes.list(), "-o"])
            .arg(&data);
        let recorder = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let recorder =
            recorder.map_err(|e| format!("cannot run perf (apt-get install linux-perf): {e}"))?;
        sleep(Duration::from_millis(300));
        Ok(Self {
            recorder,
            data,
            text,
        })
    }

    /// Ends it; the costliest functions.
    pub(super) fn end(mut self) -> Result<Vec<String>, String> {
        succeed(
            Command::new("kill")
                .arg("-INT")
                .arg(self.recorder.id().to_string()),
        )?;
        let _ = self.recorder.wait();
        let report = succeed(
            Command::new("perf")
                .args([
                    "report",
                    "--stdio",
                    "--no-children",
                    "--percent-limit",
                    "0.5",
                    "-i",
                ])
                .arg(&self.data),
        )?;
        let top = report.lines().filter_map(top_symbol).take(14).collect();
        std::fs::write(&self.text, report).map_err(|e| e.to_string())?;
        let _ = std::fs::remove_file(&self.data);
        eprintln!("profile: {}", self.text.display());
        Ok(top)
    }
}

/// `    9.50%  thread  object  [.] symbol` as `9.5 % symbol`.
fn top_symbol(line: &str) -> Option<String> {
    let (share, rest) = line.trim_start().split_once('%')?;
    let share: f64 = share.parse().ok()?;
    let symbol = rest
        .split_once("[.] ")
        .or_else(|| rest.split_once("[k] "))?
        .1;
    Some(format!("{share:.1} % `{}`", symbol.trim()))
}

#[cfg(test)]
mod tests {
    use super::top_symbol;

    #[test]
    fn a_line_of_perf_becomes_a_share_and_a_symbol() {
        let line =
            "     9.39%  gateway          [kernel.kallsyms]  [k] _raw_spin_unlock_irqrestore    ";
        assert_eq!(
            top_symbol(line).unwrap(),
            "9.4 % `_raw_spin_unlock_irqrestore`"
        );
        assert!(top_symbol("# Overhead  Command").is_none());
    }
}
