//! Policies.

use ::policy::{on, to};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::webhook::policy::{self as policies, Content, Policy};
use db::webhook::target::{self as targets, Target};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::{WebhookAddress, WebhookEvent, WebhookFormat, WebhookKind};
use serde::{Deserialize, Serialize};
use tenancy::secret::Secret;
use tenancy::webhook::{self as service, MOST_TARGETS, NewPolicy, NewSecret, NewTarget};
use utoipa::ToSchema;

use super::{PolicyRef, find};
use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::{App, Error};

/// What stands for a secret.
const HIDDEN: &str = "*****";

/// A policy in the API.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct WebhookPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    enabled: Option<bool>,
    event_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<i64>,
    targets: Option<Vec<WebhookTargetObject>>,
    /// Whether pushes of artifacts without a tag are sent, such as the parts of an image for several platforms. By
    /// default they are, as in Harbor.
    #[serde(skip_serializing_if = "Option::is_none")]
    untagged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_time: Option<String>,
}

/// Where a policy sends.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct WebhookTargetObject {
    address: Option<String>,
    /// The header `Authorization`. An answer has `*****` for one that is set; in a request that keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_format: Option<String>,
    /// What requests are signed with, in the header `X-Signature`. An answer has `*****` for one that is set. In a
    /// request, that or nothing keeps it, and an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip_cert_verify: Option<bool>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl BodyOf for WebhookPolicy {
    const NAME: &'static str = "policy";
}

impl WebhookPolicy {
    fn of(policy: &Policy, targets: &[Target]) -> Result<Self, Error> {
        let events = policy.events()?;
        let events = events.iter().map(|event| event.name().to_owned());
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Self {
            creation_time: Some(policy.created_at.to_string()),
            creator: filled(&policy.creator),
            description: filled(&policy.description),
            enabled: Some(policy.enabled),
            event_types: Some(events.collect()),
            id: Some(policy.id.0),
            name: Some(policy.name.clone()),
            project_id: Some(policy.project.0),
            targets: Some(targets.iter().map(WebhookTargetObject::of).collect()),
            untagged: (!policy.untagged).then_some(false),
            update_time: Some(policy.updated_at.to_string()),
        })
    }

    /// What a body says, if it is valid.
    fn wanted(self) -> Result<NewPolicy, Error> {
        let name = self.name.unwrap_or_default().trim().to_owned();
        let description = self.description.unwrap_or_default();
        let given = self.targets.unwrap_or_default();
        if given.is_empty() {
            let text = format!("empty notification target with policy {name}");
            return Err(Error::BadRequest(text));
        }
        if given.len() > MOST_TARGETS {
            let text = format!("targets: at most {MOST_TARGETS}");
            return Err(Error::BadRequest(text));
        }
        let targets = given.into_iter().map(|target| target.wanted(&name));
        let targets = targets.collect::<Result<Vec<NewTarget>, Error>>()?;
        let content = Content {
            events: events(&self.event_types.unwrap_or_default(), &name)?,
            name,
            description,
            enabled: self.enabled.unwrap_or_default(),
            untagged: self.untagged.unwrap_or(true),
        };
        Ok(NewPolicy { content, targets })
    }
}

/// Types of events, each once.
fn events(names: &[String], policy: &str) -> Result<Vec<WebhookEvent>, Error> {
    let mut events: Vec<WebhookEvent> = Vec::new();
    for name in names {
        let event = WebhookEvent::from_name(name)
            .ok_or_else(|| Error::BadRequest(format!("unsupported event type {name}")))?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    match events.is_empty() {
        true => Err(Error::BadRequest(format!(
            "empty event type with policy {policy}"
        ))),
        false => Ok(events),
    }
}

impl WebhookTargetObject {
    fn of(target: &Target) -> Self {
        let is_http = target.kind == WebhookKind::Http;
        let hidden = |sealed: &Option<Vec<u8>>| sealed.as_ref().map(|_| HIDDEN.to_owned());
        Self {
            address: Some(target.address.to_string()),
            auth_header: hidden(&target.auth_header),
            payload_format: is_http.then(|| target.format.name().to_owned()),
            secret: hidden(&target.secret),
            skip_cert_verify: target.insecure.then_some(true),
            kind: Some(target.kind.name().to_owned()),
        }
    }

    fn wanted(self, policy: &str) -> Result<NewTarget, Error> {
        let kind = self.kind.unwrap_or_default();
        let kind = WebhookKind::from_name(&kind).ok_or_else(|| {
            Error::BadRequest(format!(
                "unsupported target type {kind} with policy {policy}"
            ))
        })?;
        let address = self.address.unwrap_or_default();
        let address = address.parse::<WebhookAddress>();
        let address =
            address.map_err(|error| Error::BadRequest(format!("targets.address: {error}")))?;
        let format = self.payload_format.filter(|text| !text.is_empty());
        let format = match (kind, format) {
            (WebhookKind::Slack, Some(_)) => {
                return Err(Error::BadRequest(
                    "targets.payload_format: Slack has a form of its own; leave it out".to_owned(),
                ));
            }
            (_, None) => WebhookFormat::Default,
            (_, Some(text)) => WebhookFormat::from_name(&text).ok_or_else(|| {
                Error::BadRequest(format!(
                    "unsupported payload format {text} with policy {policy}: use Default or CloudEvents"
                ))
            })?,
        };
        let auth_header = match self.auth_header {
            None => NewSecret::Removed,
            Some(text) if text.is_empty() => NewSecret::Removed,
            Some(text) if text == HIDDEN => NewSecret::Kept,
            Some(text) => NewSecret::Set(Secret::new(text)),
        };
        let secret = match self.secret {
            None => NewSecret::KeptIfAny,
            Some(text) if text.is_empty() => NewSecret::Removed,
            Some(text) if text == HIDDEN => NewSecret::Kept,
            Some(text) => NewSecret::Set(Secret::new(text)),
        };
        let content = targets::Content {
            kind,
            address,
            insecure: self.skip_cert_verify.unwrap_or_default(),
            format,
        };
        Ok(NewTarget {
            content,
            auth_header,
            secret,
        })
    }
}

/// Lists a project's policies of webhooks.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies", operation_id = "ListWebhookPoliciesOfProject", tag = "webhook",
    responses((status = 200, description = "A page of policies.", body = Vec<WebhookPolicy>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Webhook, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&policies::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (found, total) = policies::list(&mut reader, permit.project().id, &selection).await?;
    let ids: Vec<_> = found.iter().map(|policy| policy.id).collect();
    let mut targets = targets::of_policies(&mut reader, &ids).await?;
    let views = found.iter().map(|policy| {
        let targets = targets.remove(&policy.id).unwrap_or_default();
        WebhookPolicy::of(policy, &targets)
    });
    let views: Vec<WebhookPolicy> = views.collect::<Result<_, _>>()?;
    Ok(listing.answer(&views, total))
}

/// Makes a policy of webhooks, which sends what happens from now on.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies", operation_id = "CreateWebhookPolicyOfProject", tag = "webhook",
    request_body = WebhookPolicy,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Allowed { permit, .. }: Allowed<on::Webhook, to::Create>,
    State(app): App,
    uri: Uri,
    body: Unread<WebhookPolicy>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let (new, now) = (body.wanted()?, app.clock.now());
    let at = (&app.db, &app.master);
    let id = service::create(at, &permit, new, now).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Returns a policy of webhooks.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}", operation_id = "GetWebhookPolicyOfProject", tag = "webhook",
    responses((status = 200, description = "The policy.", body = WebhookPolicy))
)]
pub(crate) async fn get(
    PolicyRef(id): PolicyRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Rendered<WebhookPolicy> {
    let found = find(&app, &permit, id).await?;
    let targets = targets::of_policy(&mut app.db.reader().await?, id).await?;
    Ok(Json(WebhookPolicy::of(&found, &targets)?))
}

/// Replaces a policy of webhooks. What waits for addresses that it does not name any more is not sent.
#[utoipa::path(
    put, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}", operation_id = "UpdateWebhookPolicyOfProject", tag = "webhook",
    request_body = WebhookPolicy,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    PolicyRef(id): PolicyRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Update>,
    State(app): App,
    body: Unread<WebhookPolicy>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    find(&app, &permit, id).await?;
    let (new, now) = (body.wanted()?, app.clock.now());
    let at = (&app.db, &app.master);
    Ok(service::change(at, &permit, id, new, now).await?)
}

/// Deletes a policy of webhooks with its history. What waits of it is not sent.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}", operation_id = "DeleteWebhookPolicyOfProject", tag = "webhook",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    PolicyRef(id): PolicyRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    let now = app.clock.now();
    Ok(service::delete(&app.db, &permit, id, now).await?)
}
