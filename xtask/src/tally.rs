//! What passed and what failed: one line each as it happens, the count as the last line.

use std::time::Instant;

/// The outcome of a run so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
}

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
            Err(reason) => println!("FAIL {name} ({secs:.1} s): {}", reason.trim_end()),
        }
        match outcome {
            Ok(_) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        outcome.is_ok()
    }

    /// Counts a failure that kept a group of checks from being made at all.
    pub(crate) fn fail(&mut self, name: &str, reason: String) {
        self.check(name, || Err(reason));
    }

    /// Counts what another tally of the same run has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Prints the last line of a run.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 {
            return Ok(());
        }
        Err(String::new())
    }

    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}
