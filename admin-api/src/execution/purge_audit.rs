//! Purges of the audit log.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use jobs::audit_purge::{AuditPurge, LONGEST_HOURS, Parameters};
use policy::{SystemPermit, system, to};
use serde_json::{Map, Value, json};

use super::{ExecutionRef, History, Named, ScheduleRequest, Served, flag, schedule, wrong};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::Unread;
use crate::listing::Listing;
use crate::{App, Error};

/// The purge of the audit log.
pub(crate) enum PurgeAudit {}

impl Named for PurgeAudit {
    const NAME: &'static str = "purge_id";
}

impl Served for PurgeAudit {
    type Execution = AuditPurge;
    const JOB_NAME: &'static str = "PURGE_AUDIT_LOG";
    const WHAT: &'static str = "purge audit";
    const SHORT: &'static str = "purge";

    fn parameters(given: &Map<String, Value>) -> Result<Parameters, Error> {
        if given.is_empty() {
            let message = "bad request: schedule parameter cann't be empty";
            return Err(Error::BadRequest(message.to_owned()));
        }
        let hours = given.get("audit_retention_hour").and_then(Value::as_i64);
        let hours = hours
            .filter(|hours| *hours <= LONGEST_HOURS)
            .ok_or_else(|| wrong("audit_retention_hour", "a number of hours, at most 240000"))?;
        let types = given.get("include_event_types").and_then(Value::as_str);
        let types = types.filter(|types| !types.is_empty() && types.len() <= 1_024);
        let types = types.ok_or_else(|| {
            wrong(
                "include_event_types",
                "types of events, separated by commas",
            )
        })?;
        Ok(Parameters {
            audit_retention_hour: hours,
            include_event_types: types.to_owned(),
            dry_run: flag(given, "dry_run")?,
        })
    }

    fn run(parameters: &Parameters, _: Option<&str>) -> Value {
        json!({
            "audit_retention_hour": parameters.audit_retention_hour,
            "dry_run": parameters.dry_run,
            "include_event_types": parameters.include_event_types,
        })
    }

    fn scheduled(parameters: &Parameters) -> Value {
        Self::run(parameters, None)
    }
}

/// Lists purges of the audit log, newest first. They are kept for a week after their end.
#[utoipa::path(
    get, path = "/api/v2.0/system/purgeaudit", operation_id = "getPurgeHistory", tag = "purge",
    responses((status = 200, description = "A page of executions.", body = Vec<History>))
)]
pub(crate) async fn list(
    listing: Listing,
    _: Granted<SystemPermit<(system::PurgeAudit, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    super::list::<PurgeAudit>(&app, listing).await
}

/// Returns a purge of the audit log.
#[utoipa::path(
    get, path = "/api/v2.0/system/purgeaudit/{purge_id}", operation_id = "getPurgeJob", tag = "purge",
    responses((status = 200, description = "The execution.", body = History))
)]
pub(crate) async fn get(
    execution: ExecutionRef<PurgeAudit>,
    _: Granted<SystemPermit<(system::PurgeAudit, to::Read)>>,
    State(app): App,
) -> Rendered<History> {
    let job = super::find::<PurgeAudit>(&app, execution.id).await?;
    Ok(axum::Json(History::of::<PurgeAudit>(&job)?))
}

/// Stops a purge of the audit log; 200 also if it has ended.
#[utoipa::path(
    put, path = "/api/v2.0/system/purgeaudit/{purge_id}", operation_id = "stopPurge", tag = "purge",
    responses((status = 200, description = "It stops within seconds."))
)]
pub(crate) async fn stop(
    execution: ExecutionRef<PurgeAudit>,
    Granted(permit): Granted<SystemPermit<(system::PurgeAudit, to::Stop)>>,
    State(app): App,
) -> Result<(), Error> {
    super::stop::<PurgeAudit>(&app, &permit, execution.id).await
}

/// Returns the log of a purge of the audit log: its newest 1,000 lines.
#[utoipa::path(
    get, path = "/api/v2.0/system/purgeaudit/{purge_id}/log", operation_id = "getPurgeJobLog", tag = "purge",
    responses((status = 200, description = "The log.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    execution: ExecutionRef<PurgeAudit>,
    _: Granted<SystemPermit<(system::PurgeAudit, to::Read)>>,
    State(app): App,
) -> Result<Response, Error> {
    let log = super::log::<PurgeAudit>(&app, execution.id).await?;
    Ok(log.into_response())
}

/// Returns the schedule of purges of the audit log; an empty body if there is none.
#[utoipa::path(
    get, path = "/api/v2.0/system/purgeaudit/schedule", operation_id = "getPurgeSchedule", tag = "purge",
    responses((status = 200, description = "The schedule.", body = History))
)]
pub(crate) async fn scheduled(
    _: Granted<SystemPermit<(system::PurgeAudit, to::Read)>>,
    State(app): App,
) -> Result<Response, Error> {
    schedule::get::<PurgeAudit>(&app).await
}

/// Sets the schedule of purges of the audit log, starts one now (`Manual`), or ends the schedule (`None`).
#[utoipa::path(
    post, path = "/api/v2.0/system/purgeaudit/schedule", operation_id = "createPurgeSchedule", tag = "purge",
    request_body = ScheduleRequest,
    responses((status = 201, description = "Set or started; `Location` leads to the execution, 0 for none."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SystemPermit<(system::PurgeAudit, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<ScheduleRequest>,
) -> Result<Response, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    schedule::create::<PurgeAudit>(&app, &permit, &uri, &body).await
}

/// Does the same as `POST`.
#[utoipa::path(
    put, path = "/api/v2.0/system/purgeaudit/schedule", operation_id = "updatePurgeSchedule", tag = "purge",
    request_body = ScheduleRequest,
    responses((status = 200, description = "Set or started."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<SystemPermit<(system::PurgeAudit, to::Update)>>,
    State(app): App,
    body: Unread<ScheduleRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    schedule::update::<PurgeAudit>(&app, &permit, &body).await
}
