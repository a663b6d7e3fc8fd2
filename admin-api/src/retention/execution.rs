//! Running policies: starting, listing and stopping executions.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::execution::{self, Execution, Vendor};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use model::retention::RetentionRun;
use policy::{SignedIn, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ExecutionRef, RetentionRef, find, find_execution, time};
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::{App, Error};

/// An execution as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionExecution)]
pub(crate) struct View {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    end_time: String,
    id: i64,
    policy_id: i64,
    start_time: String,
    status: &'static str,
    trigger: &'static str,
}

impl From<&Execution> for View {
    fn from(execution: &Execution) -> Self {
        let run: RetentionRun = serde_json::from_str(&execution.attrs).unwrap_or_default();
        Self {
            dry_run: run.dry_run,
            end_time: time(execution.ended_at),
            id: execution.id.0,
            policy_id: execution.vendor_id,
            start_time: execution.started_at.to_string(),
            status: execution.status.name(),
            trigger: execution.cause.name(),
        }
    }
}

/// The body of requests that start an execution.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct StartRequest {
    dry_run: Option<bool>,
}

impl BodyOf for StartRequest {
    const NAME: &'static str = "body";
}

/// The body of requests that stop an execution.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ActionRequest {
    action: Option<String>,
}

impl BodyOf for ActionRequest {
    const NAME: &'static str = "body";
}

/// Runs a policy; in a dry run nothing is deleted, and the logs of its tasks say what would be.
#[utoipa::path(
    post, path = "/api/v2.0/retentions/{id}/executions", operation_id = "triggerRetentionExecution", tag = "retention",
    request_body = StartRequest,
    responses((status = 201, description = "Started; `Location` leads there."))
)]
pub(crate) async fn start(
    RetentionRef(id): RetentionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    uri: Uri,
    body: Unread<StartRequest>,
) -> Result<impl IntoResponse, Error> {
    find::<to::Update>(&app, permit.caller(), id).await?;
    let (permit, body) = body.read(&app, permit).await?;
    let (permit, _) = find(&app, permit.caller(), id).await?;
    let run = RetentionRun {
        dry_run: body.dry_run.unwrap_or_default(),
    };
    let started = tenancy::retention::start(&app.db, &permit, id, run, app.clock.now()).await?;
    let location = format!("{}/{started}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Lists executions of a policy, the newest first: 50 are kept.
#[utoipa::path(
    get, path = "/api/v2.0/retentions/{id}/executions", operation_id = "listRetentionExecutions", tag = "retention",
    responses((status = 200, description = "A page of executions.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    RetentionRef(id): RetentionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    find::<to::List>(&app, permit.caller(), id).await?;
    let selection = listing.select(&execution::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let of_policy = (Vendor::Retention, id.0);
    let (executions, total) = execution::list(&mut reader, of_policy, &selection).await?;
    let views: Vec<View> = executions.iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// Stops an execution (`action`: `stop`); 200 also if it has ended.
#[utoipa::path(
    patch, path = "/api/v2.0/retentions/{id}/executions/{eid}", operation_id = "operateRetentionExecution", tag = "retention",
    request_body = ActionRequest,
    responses((status = 200, description = "It has ended; what it was deleting in this moment may still go."))
)]
pub(crate) async fn stop(
    RetentionRef(id): RetentionRef,
    ExecutionRef(execution): ExecutionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
    body: Unread<ActionRequest>,
) -> Result<(), Error> {
    find::<to::Update>(&app, permit.caller(), id).await?;
    let (permit, body) = body.read(&app, permit).await?;
    let (permit, policy) = find(&app, permit.caller(), id).await?;
    if body.action.as_deref() != Some("stop") {
        return Err(Error::BadRequest("action: must be stop".to_owned()));
    }
    find_execution(&app, &policy, execution).await?;
    let stopped = tenancy::retention::stop(&app.db, &permit, (id, execution), app.clock.now());
    Ok(stopped.await?)
}
