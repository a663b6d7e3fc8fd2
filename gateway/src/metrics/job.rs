//! Metrics of background jobs, by kind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use db::{Db, job};
use jobs::engine::Stats;
use model::Clock;
use prometheus::core::{Atomic, GenericCounterVec};
use prometheus::{CounterVec, Gauge, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Metrics of jobs.
pub(crate) struct JobMetrics {
    stats: Arc<Stats>,
    runs: IntCounterVec,
    failures: IntCounterVec,
    seconds: CounterVec,
    running: IntGaugeVec,
    failing: IntGaugeVec,
    oldest_due: GaugeVec,
}

impl JobMetrics {
    /// Creates and registers them.
    pub(super) fn register(
        registry: &Registry,
        stats: Arc<Stats>,
    ) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("gantry_job_{name}"), help);
        let kind = ["kind"];
        let metrics = Self {
            stats,
            runs: IntCounterVec::new(opts("runs_total", "Runs of jobs in this process."), &kind)?,
            failures: IntCounterVec::new(
                opts("failures_total", "Failed runs of jobs in this process."),
                &kind,
            )?,
            seconds: CounterVec::new(
                opts(
                    "run_seconds_total",
                    "Total time of the runs of jobs in this process.",
                ),
                &kind,
            )?,
            running: IntGaugeVec::new(
                opts("running", "Jobs that this process is running."),
                &kind,
            )?,
            failing: IntGaugeVec::new(
                opts(
                    "failing",
                    "Jobs whose last run failed and that wait for a retry or are retried now.",
                ),
                &kind,
            )?,
            oldest_due: GaugeVec::new(
                opts(
                    "oldest_due_seconds",
                    "How long the oldest due job has been waiting for a process.",
                ),
                &kind,
            )?,
        };
        let all: [Box<dyn prometheus::core::Collector>; 6] = [
            Box::new(metrics.runs.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.running.clone()),
            Box::new(metrics.failing.clone()),
            Box::new(metrics.oldest_due.clone()),
        ];
        all.into_iter()
            .try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    /// Updates them from this process's counts and the queue.
    pub(crate) async fn look(&self, db: &Db, clock: &dyn Clock) {
        let waiting = async { job::count(&mut db.reader().await?).await };
        // A database that cannot be read is reported by health.
        let waiting = waiting.await.unwrap_or_default();
        let now = clock.now();
        for (kind, stats) in self.stats.all() {
            let label = [kind];
            raise(&self.runs, label, stats.runs.load(Ordering::Relaxed));
            raise(
                &self.failures,
                label,
                stats.failures.load(Ordering::Relaxed),
            );
            let seconds = stats.micros.load(Ordering::Relaxed) as f64 / 1e6;
            raise(&self.seconds, label, seconds);
            let running = stats.running.load(Ordering::Relaxed);
            self.running.with_label_values(&label).set(running);
            let waiting = waiting.iter().find(|waiting| waiting.kind == kind);
            let failing = waiting.map_or(0, |waiting| waiting.failing);
            self.failing.with_label_values(&label).set(failing);
            let due = waiting.and_then(|waiting| waiting.oldest_due);
            let late: &Gauge = &self.oldest_due.with_label_values(&label);
            late.set(due.map_or(0.0, |due| now.since(due).as_secs_f64()));
        }
    }
}

/// Raises a counter to a total that is counted elsewhere.
fn raise<P>(counters: &GenericCounterVec<P>, label: [&str; 1], total: P::T)
where
    P: Atomic,
    P::T: std::ops::Sub<Output = P::T>,
{
    let counter = counters.with_label_values(&label);
    counter.inc_by(total - counter.get());
}
