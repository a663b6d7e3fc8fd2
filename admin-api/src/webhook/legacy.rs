//! What Harbor still serves of earlier versions, and what it supports.

use ::policy::{on, to};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::execution::{self as executions, Execution, Vendor};
use db::list::{Direction, Selection, Test};
use db::webhook::{policy as policies, trigger};
use model::{WebhookEvent, WebhookFormat, WebhookKind, WebhookPolicyId, WebhookRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::registry::NEVER;
use crate::{App, Error};

/// When a policy last had an event of a type.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookLastTrigger {
    creation_time: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enabled: bool,
    event_type: &'static str,
    last_trigger_time: String,
    policy_name: String,
}

/// Lists when each policy of webhooks last had an event of each of its types.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/lasttrigger", operation_id = "LastTrigger", tag = "webhook",
    responses((status = 200, description = "A row for each policy and type.", body = Vec<WebhookLastTrigger>))
)]
pub(crate) async fn last_trigger(
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Rendered<Vec<WebhookLastTrigger>> {
    let mut reader = app.db.reader().await?;
    let newest_first = Selection {
        order: Some((policies::CREATED, Direction::Down)),
        ..Selection::all()
    };
    let project = permit.project().id;
    let (found, _) = policies::list(&mut reader, project, &newest_first).await?;
    let ids: Vec<WebhookPolicyId> = found.iter().map(|policy| policy.id).collect();
    let triggers = trigger::of_policies(&mut reader, &ids).await?;
    let mut rows = Vec::new();
    for policy in &found {
        for event in policy.events()? {
            let last = triggers.get(&(policy.id, event));
            rows.push(WebhookLastTrigger {
                creation_time: policy.created_at.to_string(),
                enabled: policy.enabled,
                event_type: event.name(),
                last_trigger_time: last.map_or_else(|| NEVER.to_owned(), |it| it.at.to_string()),
                policy_name: policy.name.clone(),
            });
        }
    }
    Ok(Json(rows))
}

/// An execution in the form of earlier versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookJob {
    creation_time: String,
    event_type: String,
    id: i64,
    job_detail: String,
    notify_type: &'static str,
    policy_id: i64,
    status: &'static str,
    update_time: String,
}

impl WebhookJob {
    fn of(execution: &Execution) -> Self {
        let request: Option<WebhookRequest> = serde_json::from_str(&execution.attrs).ok();
        let (event_type, job_detail) =
            request.map_or_else(Default::default, |it| (it.event_type, it.payload));
        let updated = execution.ended_at.unwrap_or(execution.started_at);
        Self {
            creation_time: execution.started_at.to_string(),
            event_type,
            id: execution.id.0,
            job_detail,
            notify_type: match execution.vendor {
                Vendor::Slack => WebhookKind::Slack.name(),
                Vendor::Retention | Vendor::Replication | Vendor::Webhook => {
                    WebhookKind::Http.name()
                }
            },
            policy_id: execution.vendor_id,
            status: execution.status.name(),
            update_time: updated.to_string(),
        }
    }
}

/// Lists what a policy of webhooks sent, in the form of earlier versions.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/jobs", operation_id = "ListWebhookJobs", tag = "webhookjob",
    params(
        ("policy_id" = i64, Query, description = "The policy's ID."),
        ("status" = Option<Vec<String>>, Query, description = "`Running`, `Success`, `Error` or `Stopped`; several are separated by commas."),
    ),
    responses((status = 200, description = "A page of them.", body = Vec<WebhookJob>))
)]
pub(crate) async fn jobs(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Webhook, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    listing.params.required("policy_id")?;
    let policy = listing.params.int("policy_id")?.unwrap_or_default();
    let policy = WebhookPolicyId(policy);
    find(&app, &permit, policy).await?;
    let statuses = listing.params.text("status")?.map(|text| {
        let all = text.split(',').map(|word| word.trim().to_owned());
        Test::AnyOf(all.collect())
    });
    let selection = listing.select(&executions::FIELDS)?;
    let selection = selection.or(executions::STATUS, statuses);
    let mut reader = app.db.reader().await?;
    let of_policy = ([Vendor::Webhook, Vendor::Slack], policy.0);
    let (found, total) = executions::list_either(&mut reader, of_policy, &selection).await?;
    listing
        .room
        .texts(found.iter().map(|execution| execution.attrs.len()).sum())?;
    let views: Vec<WebhookJob> = found.iter().map(WebhookJob::of).collect();
    Ok(listing.answer(&views, total))
}

/// What policies may name.
#[derive(Serialize, ToSchema)]
pub(crate) struct SupportedWebhookEventTypes {
    event_type: Vec<&'static str>,
    notify_type: Vec<&'static str>,
    payload_formats: Vec<PayloadFormat>,
}

/// The forms of requests to a kind of targets.
#[derive(Serialize, ToSchema)]
pub(crate) struct PayloadFormat {
    formats: Vec<&'static str>,
    notify_type: &'static str,
}

/// Lists the types of events, of targets, and the forms of requests that policies of webhooks may name.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/events", operation_id = "GetSupportedEventTypes", tag = "webhook",
    responses((status = 200, description = "What is supported.", body = SupportedWebhookEventTypes))
)]
pub(crate) async fn events(
    Allowed { .. }: Allowed<on::Webhook, to::Read>,
) -> Json<SupportedWebhookEventTypes> {
    let formats = WebhookFormat::ALL.iter().map(|format| format.name());
    Json(SupportedWebhookEventTypes {
        event_type: WebhookEvent::ALL.iter().map(|event| event.name()).collect(),
        notify_type: WebhookKind::ALL.iter().map(|kind| kind.name()).collect(),
        payload_formats: vec![PayloadFormat {
            formats: formats.collect(),
            notify_type: WebhookKind::Http.name(),
        }],
    })
}
