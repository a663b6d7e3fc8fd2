//! Whether targets work, and trying them out.

use ::policy::{on, to};
use axum::Json;
use axum::extract::State;
use db::list::Selection;
use db::webhook::delivery;
use db::webhook::policy as policies;
use db::webhook::target::{self as targets, Target};
use jobs::webhook::{Tried, try_out};
use model::WebhookEvent;
use serde::{Deserialize, Serialize};
use tenancy::webhook as service;
use utoipa::ToSchema;

use super::{PolicyRef, find};
use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// Whether a target works.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTargetState {
    address: String,
    /// Since when it has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// The status of its last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<i64>,
    /// When something was last sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_time: Option<String>,
    policy_id: i64,
    /// When it is tried again, if it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_time: Option<String>,
    /// When it was given up: only one event at a time is tried then, until it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_since: Option<String>,
    /// How many deliveries wait for it.
    waiting: i64,
}

impl WebhookTargetState {
    fn of(target: Target, waiting: i64) -> Self {
        let next = target.failing_since.map(|_| target.retry_at);
        Self {
            address: target.address.to_string(),
            failing_since: target.failing_since.map(|at| at.to_string()),
            last_error: target.last_error,
            last_status: target.last_status,
            last_time: target.last_at.map(|at| at.to_string()),
            policy_id: target.policy.0,
            next_time: next.map(|at| at.to_string()),
            skipped_since: target.skipped_at.map(|at| at.to_string()),
            waiting,
        }
    }
}

/// Returns whether the targets of a project's policies of webhooks work.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name_or_id}/webhook/targets", operation_id = "listWebhookTargets", tag = "webhook",
    responses((status = 200, description = "The targets.", body = Vec<WebhookTargetState>))
)]
pub(crate) async fn list(
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Rendered<Vec<WebhookTargetState>> {
    let mut reader = app.db.reader().await?;
    let project = permit.project().id;
    let (found, _) = policies::list(&mut reader, project, &Selection::all()).await?;
    let ids: Vec<_> = found.iter().map(|policy| policy.id).collect();
    let mut of_policies = targets::of_policies(&mut reader, &ids).await?;
    let found = ids.iter().filter_map(|id| of_policies.remove(id));
    let found: Vec<Target> = found.flatten().collect();
    let ids: Vec<_> = found.iter().map(|target| target.id).collect();
    let waiting = delivery::waiting(&mut reader, &ids).await?;
    let states = found.into_iter().map(|target| {
        let waiting = waiting.get(&target.id).copied().unwrap_or_default();
        WebhookTargetState::of(target, waiting)
    });
    Ok(Json(states.collect()))
}

/// What is tried out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct WebhookTest {
    /// The type of event; the policy's first by default.
    event_type: Option<String>,
}

impl BodyOf for WebhookTest {
    const NAME: &'static str = "test";
}

/// What came of trying a target out.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTestResult {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// Why it did not take the sample; left out if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<u16>,
}

impl From<Tried> for WebhookTestResult {
    fn from(tried: Tried) -> Self {
        Self {
            address: tried.address,
            duration_ms: tried.duration_ms,
            error: tried.error,
            response_status: tried.status,
        }
    }
}

/// Sends a sample to the targets of a policy of webhooks, at once and once, and returns what came of it.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/test", operation_id = "testWebhook", tag = "webhook",
    request_body = WebhookTest,
    responses((status = 200, description = "What came of it, for each target.", body = Vec<WebhookTestResult>))
)]
pub(crate) async fn test(
    PolicyRef(id): PolicyRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Update>,
    State(app): App,
    body: Unread<WebhookTest>,
) -> Rendered<Vec<WebhookTestResult>> {
    let (permit, body) = body.read_if_any(&app, permit).await?;
    let policy = find(&app, &permit, id).await?;
    let event = match body.and_then(|body| body.event_type) {
        Some(name) => WebhookEvent::from_name(&name)
            .ok_or_else(|| Error::BadRequest(format!("unsupported event type {name}")))?,
        None => *policy
            .events()?
            .first()
            .unwrap_or(&WebhookEvent::PushArtifact),
    };
    service::tested(&app.db, &permit, id, app.clock.now()).await?;
    let caller = permit.caller().origin();
    let tried = try_out(
        &app.webhooks,
        (&policy, &permit.project().name),
        event,
        caller.principal.name(),
    );
    Ok(Json(tried.await?.into_iter().map(Into::into).collect()))
}
