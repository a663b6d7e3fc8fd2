//! One upload, and what fails when half of it is on its way.

use std::fmt;
use std::sync::atomic::Ordering;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use testkit::backing::Part;
use testkit::gantry::Gantry;
use testkit::meter::{Figures, wait};
use testkit::target::Target;

use super::resume::{self, Progress};
use crate::Soak;

/// What ends by force.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// The replica that serves the upload; it comes back when the upload is over.
    Replica,
    Part(Part),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replica => "kill -9 of the replica",
            Self::Part(Part::Database) => "PostgreSQL restarted at once",
            Self::Part(Part::Storage) => "kill -9 of SeaweedFS",
        })
    }
}

pub(super) struct Upload {
    target: Target,
    fault: Fault,
    size: u64,
    /// MB that are sent in a second at most.
    pace: f64,
}

impl Upload {
    pub(super) fn new(soak: &Soak, target: Target, fault: Fault) -> Self {
        let (size, pace) = if soak.options.short {
            (256 << 20, 50.0)
        } else {
            (2 << 30, 100.0)
        };
        Self {
            target,
            fault,
            size,
            pace,
        }
    }

    /// Runs it; what it saw, with how long the fault lasted.
    pub(super) fn run(self, gantry: &mut Gantry) -> Result<Figures, String> {
        let progress = Progress::default();
        let (mut seen, lasted) = thread::scope(|scope| {
            let (target, size, pace) = (&self.target, self.size, self.pace * 1e6);
            let progress = &progress;
            let before = gantry.connections()?;
            let client = scope.spawn(move || wait(resume::run(target, size, pace, progress)));
            let until = |what: &str, done: &dyn Fn() -> bool| {
                while !done() {
                    if client.is_finished() {
                        return Err(format!("it ended before {what}"));
                    }
                    sleep(Duration::from_millis(5));
                }
                Ok(())
            };
            let failed = self.fail(gantry, &before, progress, &until);
            let seen = client
                .join()
                .map_err(|_| "the client panicked".to_owned())?;
            let (serving, began, lasted) = match (failed, seen.as_ref().err()) {
                (Err(fault), Some(client)) => return Err(format!("{fault}; {client}")),
                (failed, _) => failed?,
            };
            let seen = seen?;
            let Some(number) = serving else {
                return Ok((seen, lasted));
            };
            gantry.start_again(number)?;
            Ok((seen, began.elapsed()))
        })?;
        self.judge(&seen)?;
        seen.insert("fault_s".to_owned(), lasted.as_secs_f64());
        Ok(seen)
    }

    /// Does the fault when half is on its way; which replica has ended, since when, and how long that lasted so far.
    fn fail(
        &self,
        gantry: &mut Gantry,
        before: &[u64],
        progress: &Progress,
        until: Until<'_>,
    ) -> Result<(Option<usize>, Instant, Duration), String> {
        until("it began", &|| progress.begun.load(Ordering::Relaxed) > 0)?;
        let serving = match self.fault {
            Fault::Replica => Some(serving(gantry, before)?),
            Fault::Part(_) => None,
        };
        let half = self.size / 2;
        until("half of it", &|| {
            progress.sent.load(Ordering::Relaxed) > half
        })?;
        let began = Instant::now();
        match (self.fault, serving) {
            (Fault::Part(part), _) => gantry.backing()?.crash(part)?,
            (Fault::Replica, Some(number)) => gantry.kill(number),
            (Fault::Replica, None) => return Err("nobody serves the upload".to_owned()),
        }
        // An upload that was over before the fault began would show nothing.
        until("the fault", &|| true)?;
        if let Fault::Part(part) = self.fault {
            sleep(OUTAGE);
            gantry.backing()?.restart(part)?;
        }
        Ok((serving, began, began.elapsed()))
    }

    /// The client compares digests. What is left: that it was cut and went on from a checkpoint, and that
    /// something was acknowledged beside it.
    fn judge(&self, seen: &Figures) -> Result<(), String> {
        let of = |key: &str| seen.get(key).copied().unwrap_or(0.0);
        let (cut, resumed) = (of("cut_at"), of("resumed_at"));
        let wrong = |what: &str| Err(format!("{what}: {seen:?}"));
        if of("bytes") != self.size as f64 || of("beside_manifests_pulled") == 0.0 {
            return wrong("not all was pulled");
        }
        match self.fault {
            Fault::Replica if of("resumed") == 0.0 => wrong("the upload was not cut"),
            _ if of("resumed") > 0.0 && resumed <= 0.0 => wrong("the upload began anew"),
            Fault::Replica if cut - resumed > UNKEPT => wrong("too much had to be sent again"),
            _ => Ok(()),
        }
    }
}

/// Waits until something holds, for as long as the upload goes on.
type Until<'u> = &'u dyn Fn(&str, &dyn Fn() -> bool) -> Result<(), String>;

/// How long the database or the storage is away at least.
const OUTAGE: Duration = Duration::from_secs(1);

/// Bytes that may be on their way at a time, or not be a whole part yet: sent, but not kept.
const UNKEPT: f64 = 96.0 * 1024.0 * 1024.0;

/// The replica that took the upload's connection, the only new one.
fn serving(gantry: &Gantry, before: &[u64]) -> Result<usize, String> {
    let now = gantry.connections()?;
    let took = |number: usize| now[number] - before.get(number).copied().unwrap_or(0);
    let busy: Vec<usize> = (0..now.len()).filter(|number| took(*number) > 0).collect();
    match busy[..] {
        [number] if took(number) == 1 => Ok(number),
        _ => Err(format!(
            "cannot tell who serves the upload: connections were {before:?} and are {now:?}"
        )),
    }
}
