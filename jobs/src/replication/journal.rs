//! What a task reports: its log, and what it has copied. Both are written together, a few seconds after they happened at
//! most.

use std::time::Duration;

use db::execution::task_log;
use db::job_log::{Level, Line};
use db::replication::state::{self, Copied as State};
use model::{ReplicationPolicyId, TaskId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::{Copied, CopyError};
use super::works::Works;

/// How long reports wait.
const EVERY: Duration = Duration::from_secs(2);
/// Reports that are written at a time.
const BATCH: usize = 200;

/// What a task reports.
pub(crate) struct Journal {
    works: Works,
    policy: ReplicationPolicyId,
    task: TaskId,
    /// Written one batch after the other, in their order.
    writing: tokio::sync::Mutex<()>,
    waiting: Mutex<Waiting>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<Line>,
    states: Vec<State>,
    forgotten: Vec<(String, String)>,
}

/// What a task has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// References that were copied.
    pub(crate) copied: u64,
    /// Those that were there.
    pub(crate) present: u64,
    /// Those that were left as they are at the destination.
    pub(crate) kept: u64,
    /// Those that were deleted there.
    pub(crate) deleted: u64,
    /// Those that failed.
    pub(crate) failed: u64,
    /// Those whose kind the other registry does not take, and so of what they list and what is attached to them.
    pub(crate) skipped: u64,
    /// Bytes of blobs that were moved.
    pub(crate) bytes: u64,
}

impl Journal {
    pub(crate) fn new(works: Works, policy: ReplicationPolicyId, task: TaskId) -> Self {
        Self {
            works,
            policy,
            task,
            writing: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    pub(crate) fn info(&self, text: impl Into<String>) {
        self.line(Level::Info, text.into());
    }

    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.line(Level::Warn, text.into());
    }

    pub(crate) fn error(&self, text: impl Into<String>) {
        self.line(Level::Error, text.into());
    }

    /// The other registry takes no artifacts of this kind: the rest goes on without.
    pub(crate) fn skip(&self, what: &str, error: &CopyError) {
        self.count(|counts| counts.skipped += 1);
        self.warn(format!("{what}, it is skipped: {error}"));
    }

    fn line(&self, level: Level, text: String) {
        let line = Line::new(self.works.clock.now(), level, text);
        self.waiting.lock().lines.push(line);
    }

    /// Something is at the destination.
    pub(crate) fn state(&self, state: State) {
        self.waiting.lock().states.push(state);
    }

    /// Something is not at the destination any more.
    pub(crate) fn forget(&self, repository: &str, reference: &str) {
        let gone = (repository.to_owned(), reference.to_owned());
        self.waiting.lock().forgotten.push(gone);
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock());
    }

    /// A task begins anew: what was copied is there now.
    pub(crate) fn again(&self) {
        self.count(|counts| {
            counts.present = 0;
            counts.kept = 0;
            counts.failed = 0;
            counts.skipped = 0;
        });
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    pub(crate) fn works(&self) -> &Works {
        &self.works
    }

    /// Whether so much waits that it should be written now.
    pub(crate) fn is_full(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.lines.len().max(waiting.states.len()) >= BATCH
    }

    /// Writes what waits, again and again, until all is over. What is being written then is written to its end.
    pub(crate) async fn keep_writing(&self, over: &Notify) -> Copied<()> {
        loop {
            tokio::select! {
                () = over.notified() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
            self.flush().await?;
        }
    }

    /// Writes what waits.
    pub(crate) async fn flush(&self) -> Copied<()> {
        let _turn = self.writing.lock().await;
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.lines.is_empty() && waiting.states.is_empty() && waiting.forgotten.is_empty() {
            return Ok(());
        }
        let (task, policy) = (self.task, self.policy);
        let written = self.works.db.write(move |tx| {
            Box::pin(async move {
                task_log::append(tx, task, &waiting.lines).await?;
                for copied in &waiting.states {
                    state::note(tx, policy, copied).await?;
                }
                for (repository, reference) in &waiting.forgotten {
                    state::forget(tx, policy, (repository, reference)).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(written.await?)
    }
}
