//! What a run reports to operators. It is written with the next renewal of the lease, and at the end.

use std::sync::Arc;

use db::job_log::{Level, Line};
use model::{Clock, JobId};
use parking_lot::Mutex;

/// Log and progress of a run.
pub struct Context {
    job: JobId,
    notes: Arc<Mutex<Notes>>,
    clock: Arc<dyn Clock>,
}

/// Reports waiting to be written.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) lines: Vec<Line>,
    pub(super) progress: Option<String>,
}

impl Context {
    pub(super) fn new(job: JobId, notes: Arc<Mutex<Notes>>, clock: Arc<dyn Clock>) -> Self {
        Self { job, notes, clock }
    }

    /// The job that runs.
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// Adds a line to the job's log.
    pub fn log(&mut self, level: Level, text: impl Into<String>) {
        let line = Line::new(self.clock.now(), level, text.into());
        let mut notes = self.notes.lock();
        notes.lines.push(line);
        // Older lines would be removed anyway.
        if notes.lines.len() > db::job_log::LINES as usize {
            notes.lines.remove(0);
        }
    }

    /// Sets the progress.
    pub fn progress(&mut self, text: impl Into<String>) {
        self.notes.lock().progress = Some(text.into());
    }
}
