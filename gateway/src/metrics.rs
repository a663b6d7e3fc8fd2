//! Metrics for Prometheus. Labels come from closed sets: route template, method, status class, kind of job, and IDs of
//! policies, of which there is a greatest number.

mod follower;
mod job;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Method;
use jobs::engine::Stats;
use jobs::gc::Progress;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::follower::FollowerMetrics;
use self::job::JobMetrics;
use crate::route::RouteName;

/// Methods with a label of their own; all others are `other`.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];
/// 1xx to 5xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// All metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    pub(crate) statements: IntCounterVec,
    /// Handles by route, method and class, so that a request needs no look-up by label.
    handles: Vec<OnceLock<IntCounter>>,
    histograms: Vec<OnceLock<Histogram>>,
    sent: IntCounter,
    pub(crate) received: IntCounter,
    pub(crate) connections: IntGauge,
    pub(crate) refused_connections: IntCounter,
    pub(crate) open_uploads: IntGauge,
    pub(crate) body_memory_free: IntGauge,
    pub(crate) cache_entries: IntGaugeVec,
    pub(crate) pool_connections: IntGaugeVec,
    pub(crate) certificate_expiry: Gauge,
    pub(crate) acme_state: IntGaugeVec,
    pub(crate) acme_failed: IntGaugeVec,
    pub(crate) acme_failures: IntGauge,
    pub(crate) robots_ending: IntGaugeVec,
    pub(crate) webhook_targets: IntGaugeVec,
    pub(crate) replication_lag: GaugeVec,
    pub(crate) database_up: IntGauge,
    pub(crate) clock_skew: Gauge,
    pub(crate) store_up: IntGauge,
    pub(crate) store_writable: IntGauge,
    pub(crate) audit_dropped: IntGauge,
    pub(crate) gc_links: IntCounter,
    pub(crate) gc_blobs: IntCounter,
    pub(crate) gc_failed: IntCounter,
    pub(crate) gc_broken: IntCounter,
    pub(crate) gc_deleted: IntCounter,
    pub(crate) gc_freed: IntCounter,
    pub(crate) jobs: JobMetrics,
    pub(crate) followers: FollowerMetrics,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If a name is used twice.
    pub(crate) fn new(jobs: Arc<Stats>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(
                "gantry_http_requests_total",
                "Requests answered, or given up by their client (as 4xx).",
            ),
            &["route", "method", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "gantry_http_request_duration_seconds",
                "Time from the request's header to the last byte of its answer.",
            )
            .buckets(vec![0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 30.0, 120.0]),
            &["route"],
        )?;
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let statements = IntCounterVec::new(
            Opts::new(
                "gantry_http_request_statements_total",
                "Statements that requests to the REST API ran on the database, but for those of transactions on SQLite.",
            ),
            &["route"],
        )?;
        // Both were checked before anything is served.
        let up = |name: &str, help: &str| gauge(name, help).inspect(|gauge| gauge.set(1));
        let metrics = Self {
            handles: (0..RouteName::ALL.len() * (METHODS.len() + 1) * CLASSES.len())
                .map(|_| OnceLock::new())
                .collect(),
            histograms: RouteName::ALL.iter().map(|_| OnceLock::new()).collect(),
            requests,
            durations,
            statements,
            sent: counter(
                "gantry_http_response_bytes_total",
                "Bytes of answers' bodies.",
            )?,
            received: counter(
                "gantry_blob_upload_bytes_total",
                "Bytes of blobs committed.",
            )?,
            connections: gauge("gantry_connections", "Connections that are open.")?,
            refused_connections: counter(
                "gantry_connections_refused_total",
                "Connections refused: too many of one address, or a failed handshake.",
            )?,
            open_uploads: gauge("gantry_uploads_open", "Upload sessions that take bytes.")?,
            body_memory_free: gauge(
                "gantry_body_memory_free_bytes",
                "Memory for request and answer bodies that is free.",
            )?,
            cache_entries: IntGaugeVec::new(
                Opts::new("gantry_cache_entries", "Entries in the metadata caches."),
                &["cache"],
            )?,
            pool_connections: IntGaugeVec::new(
                Opts::new(
                    "gantry_db_pool_connections",
                    "Connections to the database for reading.",
                ),
                &["state"],
            )?,
            certificate_expiry: Gauge::new(
                "gantry_certificate_expiry_timestamp_seconds",
                "When the first of the server certificates in use ends, in seconds since 1970.",
            )?,
            acme_state: IntGaugeVec::new(
                Opts::new(
                    "gantry_acme_state",
                    "1 for where obtaining the certificate by ACME stands, else 0.",
                ),
                &["state"],
            )?,
            acme_failed: IntGaugeVec::new(
                Opts::new(
                    "gantry_acme_failed",
                    "1 for why the last attempt to obtain a certificate by ACME failed, else 0.",
                ),
                &["reason"],
            )?,
            acme_failures: gauge(
                "gantry_acme_failures",
                "Failed attempts to obtain a certificate by ACME since the last that succeeded.",
            )?,
            robots_ending: IntGaugeVec::new(
                Opts::new(
                    "gantry_robots_ending",
                    "Robots that are not disabled and end within so many days; with 0 those that have ended.",
                ),
                &["days"],
            )?,
            webhook_targets: IntGaugeVec::new(
                Opts::new(
                    "gantry_webhook_targets",
                    "Targets of webhooks that do not answer (failing), and those of them that were given up (skipped).",
                ),
                &["state"],
            )?,
            replication_lag: GaugeVec::new(
                Opts::new(
                    "gantry_replication_lag_seconds",
                    "How far an enabled policy of replication is behind.",
                ),
                &["policy"],
            )?,
            clock_skew: Gauge::new(
                "gantry_clock_skew_seconds",
                "Seconds that the database's clock is ahead of this machine's.",
            )?,
            database_up: up(
                "gantry_database_up",
                "1 if the database answered at the last look, else 0.",
            )?,
            store_up: up(
                "gantry_store_up",
                "1 if the blob store answered at the last look, else 0.",
            )?,

            store_writable: up(
                "gantry_store_writable",
                "1 if the blob store took a small object when it was last tried, else 0.",
            )?,
            audit_dropped: gauge(
                "gantry_audit_entries_dropped",
                "Entries of refusals and failed logins dropped for want of room.",
            )?,
            gc_links: counter(
                "gantry_gc_links_removed_total",
                "Links of blobs to repositories removed because nothing referred to them.",
            )?,
            gc_blobs: counter("gantry_gc_blobs_removed_total", "Blobs removed.")?,
            gc_failed: counter(
                "gantry_gc_deletions_failed_total",
                "Deletions of objects that failed and are tried again.",
            )?,
            gc_broken: counter(
                "gantry_gc_rows_set_aside_total",
                "Rows that could not be read and were set aside.",
            )?,
            gc_deleted: counter("gantry_gc_objects_deleted_total", "Objects deleted.")?,
            gc_freed: counter("gantry_gc_freed_bytes_total", "Bytes of objects deleted.")?,
            jobs: JobMetrics::register(&registry, jobs)?,
            followers: FollowerMetrics::register(&registry)?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let build = GaugeVec::new(Opts::new("gantry_build_info", "Always 1."), &["version"])?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let all: [Box<dyn prometheus::core::Collector>; 31] = [
            Box::new(self.requests.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.statements.clone()),
            Box::new(self.sent.clone()),
            Box::new(self.received.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.refused_connections.clone()),
            Box::new(self.open_uploads.clone()),
            Box::new(self.body_memory_free.clone()),
            Box::new(self.cache_entries.clone()),
            Box::new(self.pool_connections.clone()),
            Box::new(self.certificate_expiry.clone()),
            Box::new(self.acme_state.clone()),
            Box::new(self.acme_failed.clone()),
            Box::new(self.acme_failures.clone()),
            Box::new(self.robots_ending.clone()),
            Box::new(self.webhook_targets.clone()),
            Box::new(self.replication_lag.clone()),
            Box::new(self.database_up.clone()),
            Box::new(self.clock_skew.clone()),
            Box::new(self.store_up.clone()),
            Box::new(self.store_writable.clone()),
            Box::new(self.audit_dropped.clone()),
            Box::new(self.gc_links.clone()),
            Box::new(self.gc_blobs.clone()),
            Box::new(self.gc_failed.clone()),
            Box::new(self.gc_broken.clone()),
            Box::new(self.gc_deleted.clone()),
            Box::new(self.gc_freed.clone()),
            Box::new(build),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        all.into_iter()
            .try_for_each(|collector| self.registry.register(collector))
    }

    /// Counts a finished request. Its label is its route's template, also for routes of the REST API.
    pub(crate) fn request(
        &self,
        (route, label): (RouteName, &str),
        method: &Method,
        status: u16,
        took: Duration,
        sent: u64,
    ) {
        let method_at = METHODS
            .iter()
            .position(|known| known == method)
            .unwrap_or(METHODS.len());
        let class_at = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let by_label = || {
            let method = METHODS.get(method_at).map_or("other", Method::as_str);
            let labels = [label, method, CLASSES[class_at]];
            self.requests.with_label_values(&labels)
        };
        let by_route = || self.durations.with_label_values(&[label]);
        if route == RouteName::Api {
            by_label().inc();
            by_route().observe(took.as_secs_f64());
        } else {
            let at = (route as usize * (METHODS.len() + 1) + method_at) * CLASSES.len() + class_at;
            self.handles[at].get_or_init(by_label).inc();
            let histogram = self.histograms[route as usize].get_or_init(by_route);
            histogram.observe(took.as_secs_f64());
        }
        self.sent.inc_by(sent);
    }

    /// Takes over the garbage collection's counts.
    pub(crate) fn collected(&self, progress: &Progress) {
        let counters = [
            (&self.gc_links, &progress.links),
            (&self.gc_blobs, &progress.blobs),
            (&self.gc_failed, &progress.failed),
            (&self.gc_broken, &progress.broken),
            (&self.gc_deleted, &progress.deleted),
            (&self.gc_freed, &progress.freed),
        ];
        for (counter, total) in counters {
            let total = total.load(Ordering::Relaxed);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// The metrics as text for Prometheus.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}
