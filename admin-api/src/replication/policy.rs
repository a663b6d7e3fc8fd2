//! Policies.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::list::Test;
use db::registry as registries;
use db::replication::lag;
use db::replication::policy::{self as policies, Policy};
use http::header::LOCATION;
use http::request::Parts;
use http::{StatusCode, Uri};
use model::replication::{
    Direction, FilterText, InvalidPolicy, Mapping, PolicyContent, TriggerKind,
};
use model::{RegistryId, ReplicationPolicyId};
use policy::{SystemPermit, system, to};
use serde::{Deserialize, Serialize};
use tenancy::replication_policy as service;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::registry::View as RegistryView;
use crate::{AdminState, App, Error};

/// A policy as the API shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplicationPolicy {
    copy_by_chunk: bool,
    creation_time: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deletion: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dest_namespace: String,
    dest_namespace_replace_count: i64,
    dest_registry: RegistryView,
    enabled: bool,
    #[schema(value_type = Vec<ReplicationFilter>)]
    filters: Vec<FilterText>,
    id: i64,
    /// How far it is behind, in seconds; absent while it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<i64>,
    name: String,
    #[serde(rename = "override")]
    overrides: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replicate_deletion: bool,
    single_active_replication: bool,
    speed: i64,
    src_registry: RegistryView,
    trigger: ReplicationTrigger,
    update_time: String,
}

/// What is copied.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the filters of policies")]
pub(crate) struct ReplicationFilter {
    /// `matches` or `excludes`, for names, tags and labels.
    decoration: Option<String>,
    /// `name`, `tag`, `label` or `resource`.
    #[schema(rename = "type")]
    kind: String,
    /// A pattern; for labels their names.
    value: serde_json::Value,
}

/// What starts a policy.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct ReplicationTrigger {
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger_settings: Option<ReplicationTriggerSettings>,
    #[serde(rename = "type")]
    kind: String,
}

/// When the clock starts it.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct ReplicationTriggerSettings {
    /// Six fields: second, minute, hour, day of month, month, day of week, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
}

/// A registry by its id.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RegistryById {
    id: Option<i64>,
}

/// What a policy says.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ReplicationPolicyRequest {
    name: Option<String>,
    description: Option<String>,
    src_registry: Option<RegistryById>,
    dest_registry: Option<RegistryById>,
    dest_namespace: Option<String>,
    dest_namespace_replace_count: Option<i64>,
    trigger: Option<ReplicationTrigger>,
    #[schema(value_type = Option<Vec<ReplicationFilter>>)]
    filters: Option<Vec<FilterText>>,
    replicate_deletion: Option<bool>,
    deletion: Option<bool>,
    #[serde(rename = "override")]
    overrides: Option<bool>,
    enabled: Option<bool>,
    speed: Option<i64>,
    copy_by_chunk: Option<bool>,
    single_active_replication: Option<bool>,
}

impl BodyOf for ReplicationPolicyRequest {
    const NAME: &'static str = "policy";
}

fn invalid(why: InvalidPolicy) -> Error {
    Error::BadRequest(why.to_string())
}

impl ReplicationPolicyRequest {
    fn content(self) -> Result<PolicyContent, Error> {
        let id = |registry: Option<RegistryById>| registry.and_then(|it| it.id).unwrap_or(0);
        let (direction, registry) = match (id(self.src_registry), id(self.dest_registry)) {
            (0, to) if to > 0 => (Direction::Push, to),
            (from, 0) if from > 0 => (Direction::Pull, from),
            _ => return Err(invalid(InvalidPolicy::Registries)),
        };
        let (trigger, cron) = trigger(self.trigger.unwrap_or_default())?;
        // Harbor reads `deletion` alone; a policy that was read has both.
        let deletion = self.deletion.or(self.replicate_deletion);
        let content = PolicyContent {
            name: self.name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            direction,
            registry: RegistryId(registry),
            mapping: Mapping {
                namespace: self.dest_namespace.unwrap_or_default(),
                replace_count: self.dest_namespace_replace_count.unwrap_or(-1),
            },
            filters: self.filters.unwrap_or_default(),
            trigger,
            cron,
            deletion: deletion.unwrap_or_default(),
            overrides: self.overrides.unwrap_or_default(),
            enabled: self.enabled.unwrap_or_default(),
            speed: self.speed.unwrap_or_default().max(0),
            copy_by_chunk: self.copy_by_chunk.unwrap_or_default(),
            single_active: self.single_active_replication.unwrap_or_default(),
        };
        content.checked().map_err(invalid)
    }
}

fn trigger(given: ReplicationTrigger) -> Result<(TriggerKind, Option<model::Cron>), Error> {
    let kind = match given.kind.as_str() {
        "" => TriggerKind::Manual,
        name => TriggerKind::from_name(name)
            .ok_or_else(|| invalid(InvalidPolicy::Trigger(name.to_owned())))?,
    };
    let cron = given.trigger_settings.and_then(|settings| settings.cron);
    let cron = match (kind, cron) {
        (TriggerKind::Scheduled, Some(text)) => Some(PolicyContent::cron(&text).map_err(invalid)?),
        _ => None,
    };
    Ok((kind, cron))
}

/// The policies with their registries.
async fn views(app: &AdminState, found: Vec<Policy>) -> Result<Vec<ReplicationPolicy>, Error> {
    let mut views = Vec::with_capacity(found.len());
    let ids: Vec<RegistryId> = found.iter().map(|policy| policy.registry).collect();
    let mut reader = app.db.reader().await?;
    let mut known = registries::by_ids(&mut reader, &ids).await?;
    let lags = lag::all(&mut reader, app.clock.now()).await?;
    drop(reader);
    for policy in found {
        let registry = match known.get(&policy.registry) {
            Some(registry) => registry.clone(),
            None => crate::registry::find(app, policy.registry).await?,
        };
        known.insert(policy.registry, registry.clone());
        let lag = lags.get(&policy.id).copied();
        views.push(view(app, &policy, (registry.into(), lag))?);
    }
    Ok(views)
}

fn view(
    app: &AdminState,
    policy: &Policy,
    (other, lag): (RegistryView, Option<Duration>),
) -> Result<ReplicationPolicy, Error> {
    let content = policy.content()?;
    let own = RegistryView::own(app);
    let (src_registry, dest_registry) = match content.direction {
        Direction::Push => (own, other),
        Direction::Pull => (other, own),
    };
    let cron = content.cron.map(|cron| cron.to_string());
    Ok(ReplicationPolicy {
        copy_by_chunk: content.copy_by_chunk,
        creation_time: policy.created_at.to_string(),
        deletion: content.deletion,
        description: content.description,
        dest_namespace: content.mapping.namespace,
        dest_namespace_replace_count: content.mapping.replace_count,
        dest_registry,
        enabled: content.enabled,
        filters: content.filters,
        id: policy.id.0,
        lag_seconds: lag.map(|lag| lag.as_secs() as i64),
        name: content.name,
        overrides: content.overrides,
        replicate_deletion: content.deletion,
        single_active_replication: content.single_active,
        speed: content.speed,
        src_registry,
        trigger: ReplicationTrigger {
            trigger_settings: cron.map(|cron| ReplicationTriggerSettings { cron: Some(cron) }),
            kind: content.trigger.name().to_owned(),
        },
        update_time: policy.updated_at.to_string(),
    })
}

/// The policy in a path.
pub(crate) struct PolicyRef(pub(crate) ReplicationPolicyId);

impl Input for PolicyRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("id", Type::Integer, "The policy's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PolicyRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "id")
            .await
            .map(|id| Self(ReplicationPolicyId(id)))
    }
}

/// Lists policies of replication.
#[utoipa::path(
    get, path = "/api/v2.0/replication/policies", operation_id = "listReplicationPolicies", tag = "replication",
    params(("name" = Option<String>, Query, description = "Part of the name.")),
    responses((status = 200, description = "A page of policies.", body = Vec<ReplicationPolicy>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    _: Granted<SystemPermit<(system::ReplicationPolicy, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let name = listing.params.text("name")?.map(str::to_owned);
    let selection = listing.select(&policies::FIELDS)?;
    let selection = selection.or(policies::NAME, name.map(Test::Contains));
    let mut reader = app.db.reader().await?;
    let (found, total) = policies::list(&mut reader, &selection).await?;
    drop(reader);
    let views = views(&app, found).await?;
    Ok(listing.answer(&views, total))
}

/// Returns a policy of replication.
#[utoipa::path(
    get, path = "/api/v2.0/replication/policies/{id}", operation_id = "getReplicationPolicy", tag = "replication",
    responses((status = 200, description = "The policy.", body = ReplicationPolicy))
)]
pub(crate) async fn get(
    PolicyRef(id): PolicyRef,
    _: Granted<SystemPermit<(system::ReplicationPolicy, to::Read)>>,
    State(app): App,
) -> Rendered<ReplicationPolicy> {
    let found = policies::get(&mut app.db.reader().await?, id).await?;
    let found = found.ok_or(tenancy::Error::PolicyUnknown(id))?;
    let other = crate::registry::find(&app, found.registry).await?;
    let lags = lag::all(&mut app.db.reader().await?, app.clock.now()).await?;
    let lag = lags.get(&id).copied();
    Ok(Json(view(&app, &found, (other.into(), lag))?))
}

/// Makes a policy of replication. Exactly one of the two registries is another one.
#[utoipa::path(
    post, path = "/api/v2.0/replication/policies", operation_id = "createReplicationPolicy", tag = "replication",
    request_body = ReplicationPolicyRequest,
    responses((status = 201, description = "Created; `Location` leads there."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SystemPermit<(system::ReplicationPolicy, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<ReplicationPolicyRequest>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let content = body.content()?;
    let id = service::create(&app.db, &permit, content, app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Replaces what a policy of replication says. Executions that have begun go on as they began; disabling it stops them.
#[utoipa::path(
    put, path = "/api/v2.0/replication/policies/{id}", operation_id = "updateReplicationPolicy", tag = "replication",
    request_body = ReplicationPolicyRequest,
    responses(
        (status = 200, description = "Changed."),
        (status = 412, description = "It would lead elsewhere while one of its executions is running."),
    )
)]
pub(crate) async fn update(
    PolicyRef(id): PolicyRef,
    Granted(permit): Granted<SystemPermit<(system::ReplicationPolicy, to::Update)>>,
    State(app): App,
    body: Unread<ReplicationPolicyRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let content = body.content()?;
    Ok(service::change(&app.db, &permit, id, content, app.clock.now()).await?)
}

/// Deletes a policy of replication, and stops its executions. What it copied stays.
#[utoipa::path(
    delete, path = "/api/v2.0/replication/policies/{id}", operation_id = "deleteReplicationPolicy", tag = "replication",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    PolicyRef(id): PolicyRef,
    Granted(permit): Granted<SystemPermit<(system::ReplicationPolicy, to::Delete)>>,
    State(app): App,
) -> Result<(), Error> {
    Ok(service::delete(&app.db, &permit, id, app.clock.now()).await?)
}
