//! `/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: on its own listener. The checks between requests
//! are in `watch`.

pub(crate) mod watch;

use std::sync::Arc;
use std::time::Duration;

use db::replication::lag;
use db::webhook::target as webhook_targets;
use db::{notice, upload};
use http::{HeaderValue, Response, StatusCode, header};

use crate::app::App;
use crate::http::answer::{envelope, json};
use crate::http::response_body::Body;
use crate::route::RouteName;

pub(crate) async fn answer(app: &Arc<App>, path: &str) -> (RouteName, Response<Body>) {
    match path {
        "/metrics" => (RouteName::Metrics, metrics(app).await),
        "/healthz" => (
            RouteName::Health,
            json(StatusCode::OK, &serde_json::json!({"status": "ok"})),
        ),
        "/readyz" => (RouteName::Health, ready(app)),
        _ => (
            RouteName::Other,
            envelope(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "try /metrics, /healthz or /readyz",
            ),
        ),
    }
}

fn ready(app: &App) -> Response<Body> {
    match not_ready(app) {
        None => json(StatusCode::OK, &serde_json::json!({"status": "ready"})),
        Some(why) => envelope(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", why),
    }
}

/// Why no requests should be sent here, from the last check: anyone may ask this as often as they like.
fn not_ready(app: &App) -> Option<&'static str> {
    if app.draining() {
        return Some("draining");
    }
    let errors = *app.component_errors.borrow();
    errors.database.or(errors.store).or(errors.clock)
}

/// Robots that expire within this many days are counted.
const ROBOT_DAYS: [u64; 3] = [0, 3, 14];

/// Policies that were deleted or disabled since are not shown any more.
async fn look_at_replication(app: &App) {
    let Ok(mut reader) = app.db.reader().await else {
        return;
    };
    if let Ok(behind) = lag::all(&mut reader, app.clock.now()).await {
        let gauge = &app.metrics.replication_lag;
        gauge.reset();
        for (policy, behind) in behind {
            let gauge = gauge.with_label_values(&[&policy.to_string()]);
            gauge.set(behind.as_secs_f64());
        }
    }
}

async fn metrics(app: &App) -> Response<Body> {
    let metrics = &app.metrics;
    if let Ok(mut reader) = app.db.reader().await {
        if let Ok(open) = upload::count_open(&mut reader).await {
            metrics.open_uploads.set(open);
        }
        let days = ROBOT_DAYS.map(|days| Duration::from_secs(days * 86_400));
        let before = days.map(|days| app.clock.now().plus(days));
        if let Ok(counts) = notice::count_ending(&mut reader, before).await {
            for (days, count) in ROBOT_DAYS.iter().zip(counts) {
                let gauge = &metrics.robots_ending;
                gauge.with_label_values(&[&days.to_string()]).set(count);
            }
        }
        if let Ok((failing, skipped)) = webhook_targets::count_failing(&mut reader).await {
            let gauge = &metrics.webhook_targets;
            gauge.with_label_values(&["failing"]).set(failing);
            gauge.with_label_values(&["skipped"]).set(skipped);
        }
    }
    look_at_replication(app).await;
    metrics
        .body_memory_free
        .set(app.registry.memory().free() as i64);
    for (cache, entries) in app.db.caches().sizes() {
        metrics
            .cache_entries
            .with_label_values(&[cache])
            .set(entries as i64);
    }
    let (open, idle) = app.db.pool_size();
    metrics
        .pool_connections
        .with_label_values(&["open"])
        .set(i64::from(open));
    metrics
        .pool_connections
        .with_label_values(&["idle"])
        .set(idle as i64);
    let in_use = app.certificates.in_use();
    let first = in_use
        .iter()
        .map(|presented| presented.certificate.not_after())
        .min();
    if let Some(end) = first {
        metrics.certificate_expiry.set(end.unix_timestamp() as f64);
    }
    metrics.collected(&app.collected);
    metrics.jobs.look(&app.db, &*app.clock).await;
    let settings = app.settings.current();
    let followers = &metrics.followers;
    followers.look(&app.db, &settings, &*app.clock).await;
    metrics.audit_dropped.set(app.audit.dropped() as i64);
    let mut response = Response::new(Body::full(metrics.text()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
