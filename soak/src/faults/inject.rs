//! strace, attached to a running server, that makes system calls of it fail until it is detached.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::daemon::Daemon;

pub(super) struct Inject {
    strace: Daemon,
    calls: PathBuf,
}

impl Inject {
    /// Attaches to a process; `what` is `CALLS:error=…`, as `-e inject=` takes it.
    pub(super) fn attach(pid: u32, what: &str, folder: &Path) -> Result<Self, String> {
        let [said, calls] = ["strace.said", "strace.calls"].map(|name| folder.join(name));
        for file in [&said, &calls] {
            std::fs::remove_file(file).ok();
        }
        let traced = what.split(':').next().unwrap_or(what);
        let mut command = Command::new("strace");
        command
            .args(["-f", "-p", &pid.to_string(), "-o"])
            .arg(&calls);
        command.args(["-e", &format!("trace={traced}"), "-e", "signal=none"]);
        command.args(["-e", &format!("inject={what}")]);
        let mut strace = Daemon::start("strace", command, &said)?.ended_by("INT");
        strace.wait_until(Duration::from_secs(10), || {
            std::fs::read_to_string(&said).is_ok_and(|text| text.contains("attached"))
        })?;
        Ok(Self { strace, calls })
    }

    /// Lets the process go; how many calls failed.
    pub(super) fn detach(mut self) -> Result<usize, String> {
        self.strace.stop(Duration::from_secs(20))?;
        let calls = std::fs::read_to_string(&self.calls).map_err(|e| e.to_string())?;
        Ok(calls.matches("(INJECTED)").count())
    }
}
