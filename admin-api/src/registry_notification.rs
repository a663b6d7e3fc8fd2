//! Registry notifications: how far behind each endpoint is. What endpoints there are is a matter of settings.

use axum::Json;
use axum::extract::State;
use db::audit::follower::{self, Lag};
use policy::SystemPermit;
use serde::Serialize;
use tenancy::setting::follower::of_endpoint;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Granted;
use crate::error::Rendered;

/// An endpoint of registry notifications.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationEndpoint)]
pub(crate) struct View {
    name: String,
    url: String,
    /// Entries of the audit log that wait to be looked at; 10000 for more.
    waiting: i64,
    /// Seconds since the oldest of them was written; 0 if none waits.
    lag_seconds: u64,
    /// When something was last sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_time: Option<String>,
    /// Failures in a row.
    failures: i64,
    /// When they began.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Why the last attempt failed; empty if it did not.
    error: String,
}

/// Lists the endpoints to which events of the registry are sent, and how far behind each is.
#[utoipa::path(
    get, path = "/api/ext/v1/registry-notifications", operation_id = "listNotificationEndpoints", tag = "auditlog",
    responses((status = 200, description = "The endpoints that are not disabled.", body = Vec<View>))
)]
pub(crate) async fn list(
    Granted(_): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<Vec<View>> {
    let (values, now) = (app.settings.current(), app.clock.now());
    let mut reader = app.db.reader().await?;
    let mut views = Vec::new();
    for endpoint in values.notified() {
        let follower = follower::find(&mut reader, &of_endpoint(&endpoint.name)).await?;
        let lag = match &follower {
            Some(follower) => follower::lag(&mut reader, follower).await?,
            None => Lag::default(),
        };
        let time = |at: Option<model::Timestamp>| at.map(|at| at.to_string());
        views.push(View {
            name: endpoint.name,
            url: endpoint.url,
            waiting: lag.entries,
            lag_seconds: lag.seconds(now),
            sent_time: time(follower.as_ref().and_then(|it| it.sent_at)),
            failures: follower.as_ref().map_or(0, |it| it.failures),
            failing_since: time(follower.as_ref().and_then(|it| it.failing_since)),
            error: follower.map(|it| it.error).unwrap_or_default(),
        });
    }
    Ok(Json(views))
}
