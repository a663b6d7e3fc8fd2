//! Checks database, store, clock and certificate every few seconds. Failures are logged once with their cause, then
//! counted; `/readyz`, `/metrics` and `GET /api/v2.0/health` show the last results.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::ComponentErrors;
use certs::findings_in_use;
use jobs::failures::{Failures, Report, causes};
use storage::Identity;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often the database and the clock are checked.
const DATABASE_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait for the database's answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(3);
/// How far the clock may differ from the database's before a warning is logged.
pub(crate) const SKEW_WARNED_OF: Duration = Duration::from_secs(5);
/// How far it may differ before the process is not ready.
pub(crate) const LARGEST_SKEW: Duration = Duration::from_secs(30);
/// How often the store is checked.
const STORE_INTERVAL: Duration = Duration::from_secs(10);
/// How often certificates are checked, besides when one is replaced.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(60);
/// One in this many checks also writes to the store: every ten minutes, and once at the start.
const LOOKS_PER_WRITE: u64 = 60;
/// How long to wait for the store's answer.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// How often to warn of the same certificate.
const CERTIFICATE_REPEAT: Duration = Duration::from_secs(86_400);

/// Checks until `cancel`.
pub(crate) async fn run(
    app: Arc<App>,
    errors: watch::Sender<ComponentErrors>,
    cancel: CancellationToken,
) {
    let looking = async {
        tokio::join!(
            watch_database(&app, &errors),
            watch_store(&app, &errors),
            watch_certificates(&app)
        );
    };
    cancel.run_until_cancelled(looking).await;
}

async fn watch_database(app: &App, errors: &watch::Sender<ComponentErrors>) {
    let mut database = Component::new("the database");
    let mut skew = SkewWarning::default();
    let mut ticks = every(DATABASE_INTERVAL);
    loop {
        ticks.tick().await;
        let found = within(DATABASE_PATIENCE, app.db.ping()).await;
        app.metrics.database_up.set(found.is_ok().into());
        let error = found.is_err().then_some("cannot reach the database");
        let ahead = app.shared_clock.ahead();
        app.metrics.clock_skew.set(ahead as f64 / 1e6);
        skew.look(ahead);
        errors.send_modify(|errors| {
            errors.database = error;
            errors.clock = is_off(ahead, LARGEST_SKEW)
                .then_some("this machine's clock is more than 30 s off the database's");
        });
        database.found(found);
    }
}

/// True if a difference of this many microseconds to the database's clock is more than allowed.
pub(crate) fn is_off(ahead: i64, allowed: Duration) -> bool {
    u128::from(ahead.unsigned_abs()) > allowed.as_micros()
}

/// Warns once of a wrong clock, and reports when it is right again.
#[derive(Default)]
struct SkewWarning {
    warned: bool,
}

impl SkewWarning {
    fn look(&mut self, ahead: i64) {
        let is_wrong = is_off(ahead, SKEW_WARNED_OF);
        if is_wrong == self.warned {
            return;
        }
        self.warned = is_wrong;
        let seconds = ahead as f64 / 1e6;
        if is_wrong {
            tracing::warn!(
                database_ahead_seconds = seconds,
                "this machine's clock differs from the database's, whose time is used: synchronise it"
            );
        } else {
            tracing::info!(database_ahead_seconds = seconds, "the clock is right again");
        }
    }
}

async fn watch_store(app: &App, errors: &watch::Sender<ComponentErrors>) {
    let store = app.registry.store();
    let (mut reads, mut writes) = (
        Component::new("the blob store"),
        Component::new("the blob store, asked to write,"),
    );
    let mut known = None;
    let mut ticks = every(STORE_INTERVAL);
    for look in 0_u64.. {
        ticks.tick().await;
        let read = within(STORE_PATIENCE, store.identity()).await;
        let read = read.and_then(|found| is_same(&mut known, found));
        app.metrics.store_up.set(read.is_ok().into());
        let is_down = read.is_err();
        reads.found(read);
        let is_unsure = app.metrics.store_writable.get() == 0;
        if is_down {
            app.metrics.store_writable.set(0);
        } else if is_unsure || look % LOOKS_PER_WRITE == 0 {
            let written = within(STORE_PATIENCE, store.try_write()).await;
            app.metrics.store_writable.set(written.is_ok().into());
            writes.found(written);
        }
        let is_read_only = app.metrics.store_writable.get() == 0;
        errors.send_modify(|errors| {
            errors.store = is_down.then_some("cannot read the blob store");
            errors.store_writing = is_read_only.then_some("cannot write to the blob store");
        });
    }
}

/// Whether a store is still the same: a volume that is no longer mounted leaves an empty folder.
fn is_same(known: &mut Option<Identity>, found: Option<Identity>) -> Result<(), String> {
    match (&known, found) {
        (None, found) => *known = found,
        (Some(known), Some(found)) if found.is_same(known) => {}
        (Some(_), Some(_)) => return Err("another store is in its place".to_owned()),
        (Some(_), None) => return Err("its identity is gone: is it still mounted?".to_owned()),
    }
    Ok(())
}

fn every(span: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The result of a check, or its causes on one line.
async fn within<T, E: std::error::Error>(
    patience: Duration,
    look: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(patience, look).await {
        Ok(found) => found.map_err(|error| causes(&error)),
        Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
    }
}

/// Something that may or may not answer.
struct Component {
    name: &'static str,
    failures: Failures,
}

impl Component {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            failures: Failures::default(),
        }
    }

    /// Takes the result of a check, and logs what is new about it.
    fn found(&mut self, result: Result<(), String>) {
        let (name, now) = (self.name, Instant::now());
        match result {
            Ok(()) => {
                if let Some(Report { failures, seconds }) = self.failures.succeeded(now) {
                    tracing::info!(failures, seconds, "{name} answers again");
                }
            }
            Err(cause) => {
                if let Some(Report { failures, seconds }) = self.failures.failed(&cause, now) {
                    tracing::warn!(failures, seconds, cause, "{name} does not answer");
                }
            }
        }
    }
}

async fn watch_certificates(app: &App) {
    let mut warnings = CertificateWarnings::default();
    let mut replacements = app.certificates.replacements();
    let mut ticks = every(CERTIFICATE_INTERVAL);
    loop {
        warnings.look(app);
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = replacements.changed() => {}
        }
    }
}

/// Warns of what is wrong with a certificate in use, or will be soon, when it is loaded and once a day.
#[derive(Default)]
struct CertificateWarnings {
    /// The serial numbers of those that were looked at, and when; the lists by which clients are checked have none.
    last: HashMap<String, Instant>,
}

impl CertificateWarnings {
    fn look(&mut self, app: &App) {
        let now = app.clock.now().date_time();
        let in_use = findings_in_use(&app.certificates, &app.wanted_names, &app.roots, now);
        let mut current: Vec<(String, Vec<String>)> = in_use
            .into_iter()
            .map(|(presented, found)| (presented.certificate.serial().to_owned(), found))
            .collect();
        current.push((String::new(), app.tls.client_findings(now)));
        self.last
            .retain(|known, _| current.iter().any(|(serial, _)| serial == known));
        for (serial, found) in current {
            let is_known = self
                .last
                .get(&serial)
                .is_some_and(|at| at.elapsed() < CERTIFICATE_REPEAT);
            if is_known || (serial.is_empty() && found.is_empty()) {
                continue;
            }
            for warning in found {
                tracing::warn!("{warning}");
            }
            self.last.insert(serial, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_either_way_as_far_as_is_allowed() {
        let allowed = Duration::from_secs(5);
        for (ahead, off) in [
            (0, false),
            (5_000_000, false),
            (-5_000_000, false),
            (5_000_001, true),
            (-5_000_001, true),
            (i64::MIN, true),
        ] {
            assert_eq!(is_off(ahead, allowed), off, "{ahead}");
        }
    }
}
