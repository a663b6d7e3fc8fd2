//! What passed and what failed: one line each as it happens; at the end what took longest, what failed once more, and the
//! count as the last line.

use std::time::Instant;

/// The outcome of a run so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u32,
    /// The lines of what failed.
    failed: Vec<String>,
    /// Seconds, and for what.
    slow: Vec<(f32, String)>,
}

/// Seconds from which on a check is among what took longest.
const SLOW: f32 = 20.0;
/// Characters of a reason that are said once more.
const AGAIN: usize = 1_000;

impl Tally {
    /// Runs one check and prints its line; the text of `Ok` is a remark that may be empty.
    pub(crate) fn check(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<String, String>,
    ) -> bool {
        let start = Instant::now();
        let outcome = check();
        let secs = start.elapsed().as_secs_f32();
        match &outcome {
            Ok(remark) if remark.is_empty() => println!("PASS {name} ({secs:.1} s)"),
            Ok(remark) => println!("PASS {name} ({secs:.1} s): {remark}"),
            Err(reason) => {
                let reason = reason.trim_end();
                println!("FAIL {name} ({secs:.1} s): {reason}");
                let short: String = reason.chars().take(AGAIN).collect();
                self.failed.push(format!("FAIL {name}: {short}"));
            }
        }
        if outcome.is_ok() {
            self.passed += 1;
        }
        self.took(name, secs);
        outcome.is_ok()
    }

    /// Notes how long something took.
    pub(crate) fn took(&mut self, name: &str, secs: f32) {
        if secs >= SLOW {
            self.slow.push((secs, name.to_owned()));
        }
    }

    /// Counts a failure that kept a group of checks from being made at all.
    pub(crate) fn fail(&mut self, name: &str, reason: String) {
        self.check(name, || Err(reason));
    }

    /// Counts what another tally of the same run has counted.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.slow.extend(other.slow);
    }

    /// Prints the last line of a run.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.slow.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (secs, name) in &self.slow {
            println!("{secs:6.0} s  {name}");
        }
        for line in &self.failed {
            println!("{line}");
        }
        println!("{} passed, {} failed", self.passed, self.failed());
        if self.failed.is_empty() && self.passed > 0 {
            return Ok(());
        }
        Err(String::new())
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed.len()
    }
}
