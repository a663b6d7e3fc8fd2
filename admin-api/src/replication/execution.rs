//! Executions: starting, showing, stopping and repeating them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::execution::{self as executions, Counts, Execution, Vendor};
use http::header::LOCATION;
use http::request::Parts;
use http::{StatusCode, Uri};
use jobs::replication as service;
use model::{ExecutionId, ReplicationPolicyId};
use policy::{SystemPermit, system, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::policy::PolicyRef;
use super::words;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::int_param;
use crate::registry::NEVER;
use crate::{AdminState, App, Error};

/// An execution as the API shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplicationExecution {
    /// Whether nothing was copied, and only said what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    end_time: String,
    failed: i64,
    id: i64,
    in_progress: i64,
    policy_id: i64,
    start_time: String,
    status: &'static str,
    status_text: String,
    stopped: i64,
    succeed: i64,
    total: i64,
    trigger: &'static str,
}

impl ReplicationExecution {
    fn of(execution: Execution, counts: Counts) -> Self {
        let attrs: serde_json::Value = serde_json::from_str(&execution.attrs).unwrap_or_default();
        let end_time = execution.ended_at.map(|at| at.to_string());
        Self {
            dry_run: attrs.get("dry_run") == Some(&true.into()),
            end_time: end_time.unwrap_or_else(|| NEVER.to_owned()),
            failed: counts.error,
            id: execution.id.0,
            in_progress: counts.pending + counts.scheduled + counts.running,
            policy_id: execution.vendor_id,
            start_time: execution.started_at.to_string(),
            status: words::of_execution(execution.status),
            status_text: execution.status_message,
            stopped: counts.stopped,
            succeed: counts.success,
            total: counts.total(),
            trigger: words::of_cause(execution.cause),
        }
    }
}

/// What is started.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct StartReplicationExecution {
    policy_id: Option<i64>,
}

impl BodyOf for StartReplicationExecution {
    const NAME: &'static str = "execution";
}

/// The execution in a path.
pub(crate) struct ExecutionRef(pub(crate) ExecutionId);

impl Input for ExecutionRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("id", Type::Integer, "The execution's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ExecutionRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "id")
            .await
            .map(|id| Self(ExecutionId(id)))
    }
}

/// An execution of replication.
pub(super) async fn find(app: &AdminState, id: ExecutionId) -> Result<Execution, Error> {
    let found = executions::get(&mut app.db.reader().await?, id).await?;
    let found = found.filter(|found| found.vendor == Vendor::Replication);
    found.ok_or_else(|| Error::NotFound(format!("replication execution {id} not found")))
}

/// Lists executions of replication, the newest first. The newest 50 of each policy are kept.
#[utoipa::path(
    get, path = "/api/v2.0/replication/executions", operation_id = "listReplicationExecutions", tag = "replication",
    params(
        ("policy_id" = Option<i64>, Query, description = "The policy's ID."),
        ("status" = Option<String>, Query, description = "`InProgress`, `Succeed`, `Failed` or `Stopped`."),
        ("trigger" = Option<String>, Query, description = "`manual`, `scheduled` or `event_based`."),
    ),
    responses((status = 200, description = "A page of executions.", body = Vec<ReplicationExecution>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    _: Granted<SystemPermit<(system::Replication, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let policy = listing.params.int("policy_id")?;
    let status = listing.params.text("status")?;
    let status = status.map(|word| words::status_test(executions::STATUS, word));
    let cause = listing.params.text("trigger")?;
    let cause = cause.map(|word| words::cause_test(executions::CAUSE, word));
    let (status, cause) = (status.transpose()?, cause.transpose()?);
    let mut selection = listing.select(&executions::FIELDS)?;
    selection.tests.extend(status.into_iter().chain(cause));
    let mut reader = app.db.reader().await?;
    let (found, total) = match policy {
        Some(id) => executions::list(&mut reader, (Vendor::Replication, id), &selection).await?,
        None => executions::list_all(&mut reader, Vendor::Replication, &selection).await?,
    };
    let ids: Vec<ExecutionId> = found.iter().map(|execution| execution.id).collect();
    let mut counts: HashMap<_, _> = executions::counts(&mut reader, &ids).await?;
    let views = found.into_iter().map(|execution| {
        let counts = counts.remove(&execution.id).unwrap_or_default();
        ReplicationExecution::of(execution, counts)
    });
    let views: Vec<ReplicationExecution> = views.collect();
    Ok(listing.answer(&views, total))
}

/// Returns an execution of replication.
#[utoipa::path(
    get, path = "/api/v2.0/replication/executions/{id}", operation_id = "getReplicationExecution", tag = "replication",
    responses((status = 200, description = "The execution.", body = ReplicationExecution))
)]
pub(crate) async fn get(
    ExecutionRef(id): ExecutionRef,
    _: Granted<SystemPermit<(system::Replication, to::Read)>>,
    State(app): App,
) -> Rendered<ReplicationExecution> {
    let found = find(&app, id).await?;
    let mut reader = app.db.reader().await?;
    let mut counts = executions::counts(&mut reader, &[id]).await?;
    let counts = counts.remove(&id).unwrap_or_default();
    Ok(Json(ReplicationExecution::of(found, counts)))
}

/// Starts a policy.
#[utoipa::path(
    post, path = "/api/v2.0/replication/executions", operation_id = "startReplication", tag = "replication",
    request_body = StartReplicationExecution,
    responses(
        (status = 201, description = "Started; `Location` leads to the execution."),
        (status = 412, description = "The policy is disabled."),
    )
)]
pub(crate) async fn start(
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<StartReplicationExecution>,
) -> Result<impl IntoResponse, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let policy = ReplicationPolicyId(body.policy_id.unwrap_or_default());
    let wanted = (policy, false);
    let id = service::start(&app.db, &permit, wanted, app.clock.now()).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Stops an execution of replication; 200 also if it has ended.
#[utoipa::path(
    put, path = "/api/v2.0/replication/executions/{id}", operation_id = "stopReplication", tag = "replication",
    responses((status = 200, description = "It is stopped."))
)]
pub(crate) async fn stop(
    ExecutionRef(id): ExecutionRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
) -> Result<(), Error> {
    find(&app, id).await?;
    Ok(service::stop(&app.db, &permit, id, app.clock.now()).await?)
}

/// Says what a policy would copy: an execution whose logs list it, and that copies nothing.
#[utoipa::path(
    post, path = "/api/ext/v1/replication/policies/{id}/dry-run", operation_id = "dryRunReplication", tag = "replication",
    responses((status = 201, description = "Started; `Location` leads to the execution."))
)]
pub(crate) async fn dry_run(
    PolicyRef(id): PolicyRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    let id = service::start(&app.db, &permit, (id, true), app.clock.now()).await?;
    Ok(located(id))
}

/// Repeats the tasks of an execution that failed, as a new execution.
#[utoipa::path(
    post, path = "/api/ext/v1/replication/executions/{id}/retry", operation_id = "retryReplication", tag = "replication",
    responses(
        (status = 201, description = "Started; `Location` leads to the execution."),
        (status = 412, description = "Nothing failed, or the policy is disabled."),
    )
)]
pub(crate) async fn retry(
    ExecutionRef(id): ExecutionRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
) -> Result<impl IntoResponse, Error> {
    find(&app, id).await?;
    let id = service::retry(&app.db, &permit, id, app.clock.now()).await?;
    Ok(located(id))
}

fn located(id: ExecutionId) -> impl IntoResponse {
    let location = format!("/api/v2.0/replication/executions/{id}");
    (StatusCode::CREATED, [(LOCATION, location)])
}
