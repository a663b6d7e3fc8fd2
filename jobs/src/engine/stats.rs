//! Counts of runs in this process, by kind, for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Counts of all kinds that this process runs.
#[derive(Debug, Default)]
pub struct Stats(Mutex<BTreeMap<&'static str, Arc<KindStats>>>);

impl Stats {
    /// All kinds and their counts.
    pub fn all(&self) -> Vec<(&'static str, Arc<KindStats>)> {
        let kinds = self.0.lock();
        kinds.iter().map(|(kind, of)| (*kind, of.clone())).collect()
    }

    pub(super) fn of(&self, kind: &'static str) -> Arc<KindStats> {
        self.0.lock().entry(kind).or_default().clone()
    }
}

/// Counts of a kind.
#[derive(Debug, Default)]
pub struct KindStats {
    /// Completed runs.
    pub runs: AtomicU64,
    /// Failed runs.
    pub failures: AtomicU64,
    /// Total time of completed runs, in microseconds.
    pub micros: AtomicU64,
    /// Runs in progress.
    pub running: AtomicI64,
}

impl KindStats {
    /// Counts a run in progress until the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    pub(super) fn ended(&self, took: Duration, failed: bool) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(failed.into(), Ordering::Relaxed);
        self.micros
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }
}

/// A run in progress.
pub(super) struct Running(Arc<KindStats>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
