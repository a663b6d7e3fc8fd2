//! Metrics of what follows the audit log: forwarding to collectors, and registry notifications.

use db::Db;
use db::audit::follower::{self, Lag};
use jobs::audit_forward::{self, Collector};
use model::Clock;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use tenancy::setting::Values;
use tenancy::setting::follower::of_endpoint;

/// Metrics of followers.
pub(crate) struct FollowerMetrics {
    lag_seconds: IntGaugeVec,
    waiting: IntGaugeVec,
    failures: IntGaugeVec,
    notification_lag: IntGauge,
    notification_failing: IntGauge,
}

impl FollowerMetrics {
    /// Creates and registers them.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let collector = ["collector"];
        let forward = |name: &str, help: &str| {
            let opts = Opts::new(format!("gantry_audit_forward_{name}"), help);
            IntGaugeVec::new(opts, &collector)
        };
        let metrics = Self {
            lag_seconds: forward(
                "lag_seconds",
                "Seconds since the oldest entry of the audit log was written that is not forwarded yet; 0 if there is none.",
            )?,
            waiting: forward(
                "lag_entries",
                "Entries of the audit log that are not forwarded yet; 10000 for more.",
            )?,
            failures: forward("failures", "Failures in a row to forward the audit log.")?,
            notification_lag: IntGauge::new(
                "gantry_registry_notification_lag_seconds",
                "Seconds that the endpoint of registry notifications that is furthest behind is behind.",
            )?,
            notification_failing: IntGauge::new(
                "gantry_registry_notification_failing",
                "Endpoints of registry notifications that did not take what they were last sent.",
            )?,
        };
        let all: [Box<dyn prometheus::core::Collector>; 5] = [
            Box::new(metrics.lag_seconds.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.notification_lag.clone()),
            Box::new(metrics.notification_failing.clone()),
        ];
        all.into_iter()
            .try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    /// Updates them.
    pub(crate) async fn look(&self, db: &Db, values: &Values, clock: &dyn Clock) {
        // A database that cannot be read is reported by health.
        let _ = self.look_at_collectors(db, values, clock).await;
        let _ = self.look_at_endpoints(db, values, clock).await;
    }

    async fn look_at_collectors(
        &self,
        db: &Db,
        values: &Values,
        clock: &dyn Clock,
    ) -> jobs::Result<()> {
        let states = audit_forward::states(&mut db.reader().await?, values).await?;
        let now = clock.now();
        for collector in Collector::ALL {
            let label = [collector.name()];
            let Some(state) = states.iter().find(|state| state.collector == collector) else {
                // A collector that is not set has no lag.
                for gauge in [&self.lag_seconds, &self.waiting, &self.failures] {
                    let _ = gauge.remove_label_values(&label);
                }
                continue;
            };
            let seconds = i64::try_from(state.lag.seconds(now)).unwrap_or(i64::MAX);
            self.lag_seconds.with_label_values(&label).set(seconds);
            let waiting = self.waiting.with_label_values(&label);
            waiting.set(state.lag.entries);
            let failures = state.follower.as_ref().map_or(0, |it| it.failures);
            self.failures.with_label_values(&label).set(failures);
        }
        Ok(())
    }

    async fn look_at_endpoints(
        &self,
        db: &Db,
        values: &Values,
        clock: &dyn Clock,
    ) -> db::Result<()> {
        let (mut furthest, mut failing) = (Lag::default(), 0);
        let mut reader = db.reader().await?;
        for endpoint in values.notified() {
            let name = of_endpoint(&endpoint.name);
            let Some(found) = follower::find(&mut reader, &name).await? else {
                continue;
            };
            failing += i64::from(found.failures > 0);
            let lag = follower::lag(&mut reader, &found).await?;
            let is_further = lag.oldest.is_some()
                && furthest
                    .oldest
                    .is_none_or(|furthest| lag.oldest < Some(furthest));
            if is_further {
                furthest = lag;
            }
        }
        let seconds = furthest.seconds(clock.now());
        self.notification_lag
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.notification_failing.set(failing);
        Ok(())
    }
}
