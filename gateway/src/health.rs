//! `/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: on its own listener.

use std::sync::Arc;
use std::time::Duration;

use db::{setting, upload};
use http::{HeaderValue, Response, StatusCode, header};

use crate::app::App;
use crate::http::response_body::Body;
use crate::http::{envelope, json};
use crate::route::RouteName;

/// How long readiness waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn answer(app: &Arc<App>, path: &str) -> (RouteName, Response<Body>) {
    match path {
        "/metrics" => (RouteName::Metrics, metrics(app).await),
        "/healthz" => (
            RouteName::Health,
            json(StatusCode::OK, &serde_json::json!({"status": "ok"})),
        ),
        "/readyz" => (RouteName::Health, ready(app).await),
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

async fn ready(app: &App) -> Response<Body> {
    if app.draining() {
        return envelope(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "draining");
    }
    let looked = async {
        let mut tx = app.db.reader().await?;
        setting::get(&mut tx, "instance").await
    };
    match tokio::time::timeout(PATIENCE, looked).await {
        Ok(Ok(_)) => json(StatusCode::OK, &serde_json::json!({"status": "ready"})),
        _ => envelope(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "the database does not answer",
        ),
    }
}

async fn metrics(app: &App) -> Response<Body> {
    let metrics = &app.metrics;
    if let Ok(mut tx) = app.db.reader().await
        && let Ok(open) = upload::count_open(&mut tx).await
    {
        metrics.open_uploads.set(open);
    }
    metrics
        .body_memory_free
        .set(app.registry.free_body_memory() as i64);
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
    let expiry = app.certificate.current().not_after().unix_timestamp();
    metrics.certificate_expiry.set(expiry as f64);
    metrics.collected(&app.collected);
    metrics.audit_dropped.set(app.audit.dropped() as i64);
    let mut response = Response::new(Body::full(metrics.text()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
