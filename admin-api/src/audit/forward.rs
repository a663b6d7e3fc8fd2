//! Forwarding of the audit log: how far it is, and a test of it. Where it goes is a matter of settings.

use axum::Json;
use axum::extract::State;
use jobs::audit_forward::{self, Tested};
use policy::SystemPermit;
use serde::Serialize;
use tenancy::setting::Values;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::{App, Error};

/// A collector of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditCollector)]
pub(crate) struct View {
    /// `syslog` or `http`.
    collector: &'static str,
    /// Where it is.
    address: String,
    /// `tcp`, `tls`, `udp`, `http` or `https`.
    protocol: &'static str,
    /// Whether entries can be lost on the way without notice, as by UDP.
    lossy: bool,
    /// Entries that wait to be forwarded; 10000 for more.
    waiting: i64,
    /// Seconds since the oldest of them was written; 0 if none waits.
    lag_seconds: u64,
    /// When something was last forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_time: Option<String>,
    /// Failures in a row.
    failures: i64,
    /// When they began.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_time: Option<String>,
    /// Why the last attempt failed; empty if it did not.
    error: String,
}

/// What came of a test line.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditForwardTest)]
pub(crate) struct TestView {
    /// `syslog` or `http`.
    collector: &'static str,
    /// Where it is.
    address: String,
    /// `tcp`, `tls`, `udp`, `http` or `https`.
    protocol: &'static str,
    /// Whether the collector took the line; by UDP, whether it was sent.
    ok: bool,
    /// What is wrong.
    detail: String,
    elapsed_ms: u64,
}

impl View {
    fn of(state: audit_forward::State, values: &Values, now: model::Timestamp) -> Self {
        let collector = state.collector;
        let follower = state.follower;
        let time = |at: Option<model::Timestamp>| at.map(|at| at.to_string());
        Self {
            collector: collector.name(),
            address: collector.address(values).to_owned(),
            protocol: collector.protocol(values),
            lossy: collector.protocol(values) == "udp",
            waiting: state.lag.entries,
            lag_seconds: state.lag.seconds(now),
            sent_time: time(follower.as_ref().and_then(|it| it.sent_at)),
            failures: follower.as_ref().map_or(0, |it| it.failures),
            failing_since: time(follower.as_ref().and_then(|it| it.failing_since)),
            retry_time: time(follower.as_ref().and_then(|it| it.retry_at)),
            error: follower.map(|it| it.error).unwrap_or_default(),
        }
    }
}

impl From<Tested> for TestView {
    fn from(tested: Tested) -> Self {
        Self {
            collector: tested.collector.name(),
            address: tested.address,
            protocol: tested.protocol,
            ok: tested.outcome.is_ok(),
            detail: tested.outcome.err().unwrap_or_default(),
            elapsed_ms: u64::try_from(tested.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Lists the collectors to which the audit log is forwarded, and how far behind each is.
#[utoipa::path(
    get, path = "/api/ext/v1/audit-forward", operation_id = "listAuditCollectors", tag = "auditlog",
    responses((status = 200, description = "The collectors that are set.", body = Vec<View>))
)]
pub(crate) async fn list(
    Granted(_): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<Vec<View>> {
    let values = app.settings.current();
    let states = audit_forward::states(&mut app.db.reader().await?, &values).await?;
    let now = app.clock.now();
    let views = states
        .into_iter()
        .map(|state| View::of(state, &values, now));
    Ok(Json(views.collect()))
}

/// Sends each collector one line that says that it is a test, with the present settings.
#[utoipa::path(
    post, path = "/api/ext/v1/audit-forward/test", operation_id = "testAuditForward", tag = "auditlog",
    responses(
        (status = 200, description = "What came of it, for each collector.", body = Vec<TestView>),
        (status = 400, description = "No collector is set."),
    )
)]
pub(crate) async fn test(
    Granted(_): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<Vec<TestView>> {
    let tested = app.forwarding.test(&*app.clock).await;
    if tested.is_empty() {
        return Err(Error::BadRequest(
            "no collector is set: set audit_log_forward_endpoint or audit_log_forward_url"
                .to_owned(),
        ));
    }
    for collector in tested.iter().filter(|it| it.outcome.is_ok()) {
        audit_forward::retry_now(&app.db, collector.collector).await?;
    }
    Ok(Json(tested.into_iter().map(TestView::from).collect()))
}
