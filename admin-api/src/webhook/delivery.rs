//! Deliveries: what policies sent or send, with their requests, and sending them again.

use ::policy::{on, to};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::job_log::Line;
use db::list::Test;
use db::webhook::delivery::{self as deliveries, Shown};
use http::StatusCode;
use model::{WebhookDelivery, WebhookPolicyId, WebhookRequest};
use serde::Serialize;
use tenancy::webhook as service;
use utoipa::ToSchema;

use super::execution::lines;
use super::{DeliveryRef, find};
use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::{App, Error};

/// A delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookDeliveryView {
    /// Where it was sent, or is sent.
    address: String,
    /// How often it was sent.
    attempts: i64,
    /// How long the last answer took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    /// Why the last attempt failed, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    event_type: String,
    id: i64,
    /// When it is sent next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_time: Option<String>,
    /// Who did what it tells of, or sent it again.
    operator: String,
    policy_id: i64,
    /// The status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<u16>,
    start_time: String,
    /// `Running` while it waits or is sent, `Success`, `Error` or `Stopped`.
    status: &'static str,
    /// The repository that it is about; those of one repository are sent one after the other.
    subject: String,
    /// `EVENT`, or `MANUAL` where somebody sent it again.
    trigger: &'static str,
}

impl From<Shown> for WebhookDeliveryView {
    fn from(shown: Shown) -> Self {
        let attrs: Option<WebhookDelivery> = serde_json::from_str(&shown.attrs).ok();
        let (address, event_type, response_status, duration_ms) = match attrs {
            Some(it) => (it.address, it.event_type, it.status, it.duration_ms),
            None => Default::default(),
        };
        Self {
            address,
            attempts: shown.attempts,
            duration_ms,
            end_time: shown.ended_at.map(|at| at.to_string()),
            error: shown.message,
            event_type,
            id: shown.id.0,
            next_time: shown.due_at.map(|at| at.to_string()),
            operator: shown.operator,
            policy_id: shown.policy.0,
            response_status,
            start_time: shown.started_at.to_string(),
            status: shown.status.name(),
            subject: shown.subject,
            trigger: shown.cause.name(),
        }
    }
}

/// A delivery with its request.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookDeliveryDetail {
    #[serde(flatten)]
    delivery: WebhookDeliveryView,
    /// The attempts.
    log: Vec<WebhookDeliveryLine>,
    /// The body of the request.
    payload: String,
}

/// A line of a delivery's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookDeliveryLine {
    /// `info`, `warn` or `error`.
    level: &'static str,
    text: String,
    time: String,
}

impl From<Line> for WebhookDeliveryLine {
    fn from(line: Line) -> Self {
        Self {
            level: line.level.as_str(),
            text: line.text,
            time: line.at.to_string(),
        }
    }
}

/// A delivery that was added.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redelivered {
    id: i64,
}

/// Lists what a project's policies of webhooks sent and send, the newest first.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/webhook/deliveries", operation_id = "listWebhookDeliveries", tag = "webhook",
    params(
        ("policy_id" = Option<i64>, Query, description = "The policy's ID."),
        ("status" = Option<String>, Query, description = "`Running`, `Success`, `Error` or `Stopped`."),
        ("event_type" = Option<String>, Query, description = "The type of event."),
    ),
    responses((status = 200, description = "A page of deliveries.", body = Vec<WebhookDeliveryView>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Result<Response, Error> {
    let policy = listing.params.int("policy_id")?.map(WebhookPolicyId);
    let status = listing.params.text("status")?;
    let status = status.map(|text| Test::Is(text.to_owned()));
    let event = listing.params.text("event_type")?;
    // As it stands in the attributes.
    let event = event.map(|text| Test::Contains(format!("\"event_type\":{}", quoted(text))));
    if let Some(id) = policy {
        find(&app, &permit, id).await?;
    }
    let selection = listing.select(&deliveries::FIELDS)?;
    let selection = selection
        .or(deliveries::STATUS_FIELD, status)
        .or(deliveries::EVENT, event);
    let mut reader = app.db.reader().await?;
    let of = (permit.project().id, policy);
    let (found, total) = deliveries::list(&mut reader, of, &selection).await?;
    let views: Vec<WebhookDeliveryView> = found.into_iter().map(Into::into).collect();
    Ok(listing.answer(&views, total))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a delivery with its request and the attempts to send it.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/webhook/deliveries/{delivery_id}", operation_id = "getWebhookDelivery", tag = "webhook",
    responses((status = 200, description = "The delivery.", body = WebhookDeliveryDetail))
)]
pub(crate) async fn get(
    DeliveryRef(id): DeliveryRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Rendered<WebhookDeliveryDetail> {
    let project = permit.project().id;
    let found = deliveries::get(&mut app.db.reader().await?, project, id).await?;
    let (shown, attrs) = found.ok_or(tenancy::Error::DeliveryUnknown(id))?;
    let request: Option<WebhookRequest> = serde_json::from_str(&attrs).ok();
    let log = lines(&app, shown.task).await?;
    Ok(Json(WebhookDeliveryDetail {
        delivery: shown.into(),
        log: log.into_iter().map(Into::into).collect(),
        payload: request.map(|it| it.payload).unwrap_or_default(),
    }))
}

/// Sends something again to the same address, with the same body, as another delivery.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name_or_id}/webhook/deliveries/{delivery_id}/redeliver", operation_id = "redeliverWebhook", tag = "webhook",
    responses(
        (status = 202, description = "It is sent as soon as it can be.", body = Redelivered),
        (status = 412, description = "The policy does not send to this address any more."),
    )
)]
pub(crate) async fn redeliver(
    DeliveryRef(id): DeliveryRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Update>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    let added = service::redeliver(&app.db, &permit, id, app.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(Redelivered { id: added.0 })))
}
