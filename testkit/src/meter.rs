//! Time, latencies and the server's CPU time.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::client::background;
use crate::process::Processes;

/// Figures of one measurement by name; `rate`, `cpu_s`, `p99_ms` and so on.
pub type Figures = BTreeMap<String, f64>;

/// Runs clients to their end.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    background().block_on(work)
}

/// Runs as many of them at a time, each with its number.
pub async fn parallel<F: Future>(count: usize, work: impl Fn(usize) -> F) -> Vec<F::Output> {
    join_all((0..count).map(work)).await
}

/// Does something for every number below `count`, by so many workers; the first error.
pub async fn each<E>(
    workers: usize,
    count: usize,
    work: impl AsyncFn(usize) -> Result<(), E>,
) -> Result<(), E> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = async |_| {
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number).await?;
        }
    };
    let ended = parallel(workers, worker).await;
    ended.into_iter().collect()
}

/// Measures a stretch of work: wall clock, server CPU, latencies.
pub struct Meter {
    server: Processes,
    began: Instant,
    cpu: f64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    bytes: u64,
    errors: Vec<String>,
    failed: usize,
    took: Option<(Duration, f64)>,
}

impl Meter {
    pub fn start(server: &Processes) -> Self {
        Self {
            server: server.clone(),
            cpu: server.cpu_seconds(),
            seen: Mutex::default(),
            began: Instant::now(),
        }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn done(&self, began: Instant, bytes: u64) {
        let mut seen = self.seen();
        seen.latencies.push(began.elapsed());
        seen.bytes += bytes;
    }

    pub fn fail(&self, error: impl Display) {
        let mut seen = self.seen();
        seen.failed += 1;
        if seen.errors.len() < 20 {
            seen.errors.push(error.to_string());
        }
    }

    /// Counts what became of an operation on so many bytes.
    pub fn note<T>(&self, began: Instant, bytes: u64, done: Result<T, impl Display>) {
        match done {
            Ok(_) => self.done(began, bytes),
            Err(error) => self.fail(error),
        }
    }

    /// Ends the measurement where checks follow that are not part of it.
    pub fn stop(&self) {
        let took = (self.began.elapsed(), self.server.cpu_seconds() - self.cpu);
        self.seen().took.get_or_insert(took);
    }

    /// The figures; an error where anything failed.
    pub fn report(&self) -> Result<Figures, String> {
        self.stop();
        let mut seen = self.seen();
        if seen.failed > 0 {
            let errors = seen.errors.join("\n  failed: ");
            return Err(format!(
                "{} operations failed\n  failed: {errors}",
                seen.failed
            ));
        }
        let (took, cpu) = seen.took.unwrap_or_default();
        let took = took.as_secs_f64();
        seen.latencies.sort_unstable();
        let (count, bytes) = (seen.latencies.len() as f64, seen.bytes as f64);
        let mut figures = figures([
            ("operations", count),
            ("errors", 0.0),
            ("bytes", bytes),
            ("seconds", took),
            ("rate", count / took),
            ("mb_per_s", bytes / 1e6 / took),
            ("cpu_s", cpu),
        ]);
        for (name, part) in [
            ("p50_ms", 0.5),
            ("p90_ms", 0.9),
            ("p99_ms", 0.99),
            ("max_ms", 1.0),
        ] {
            put(&mut figures, name, quantile(&seen.latencies, part));
        }
        Ok(figures)
    }
}

pub fn figures<const N: usize>(pairs: [(&str, f64); N]) -> Figures {
    let mut figures = Figures::new();
    for (name, value) in pairs {
        put(&mut figures, name, value);
    }
    figures
}

/// Sets a figure, to the fourth decimal.
pub fn put(figures: &mut Figures, name: &str, value: f64) {
    figures.insert(name.to_owned(), (value * 1e4).round() / 1e4);
}

/// Figures as words, those that are zero left out where `all` is not wanted.
pub fn listed(figures: &Figures, all: bool) -> String {
    let words = figures.iter().filter(|(_, value)| all || **value != 0.0);
    let words: Vec<String> = words.map(|(key, value)| format!("{key} {value}")).collect();
    words.join(", ")
}

/// Of sorted times, the one that this part of them is below, in milliseconds.
pub fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let at = (part * sorted.len() as f64) as usize;
    let found = sorted.get(at).or(sorted.last());
    found.map_or(0.0, |time| time.as_micros() as f64 / 1000.0)
}

/// Counts by name.
#[derive(Default)]
pub struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    pub fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub fn add(&self, what: &str, number: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += number;
    }

    /// All of them, with `prefix` before their names.
    pub fn report(&self, prefix: &str, figures: &mut Figures) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, count) in &*counts {
            put(figures, &format!("{prefix}{what}"), *count as f64);
        }
    }
}
