//! Schedules of jobs, and whether they are paused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use db::list::Selection;
use db::schedule::{self, Schedule};
use http::request::Parts;
use jobs::engine::pause::{Paused, SCHEDULER};
use model::cron::InvalidCron;
use model::{Cron, Timestamp};
use policy::{SignedIn, SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::vendor_type;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::listing::Listing;
use crate::param::{Params, text_param};
use crate::{AdminState, App, Error};

/// A schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleTask)]
pub(crate) struct View {
    cron: String,
    id: i64,
    update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<i64>,
    vendor_type: String,
}

impl From<Schedule> for View {
    fn from(schedule: Schedule) -> Self {
        // A kind's only schedule for the whole installation has no ID in Harbor.
        let vendor_id = match &*schedule.subject {
            "" => Some(-1),
            subject => subject.parse().ok(),
        };
        Self {
            cron: schedule.cron.to_string(),
            id: schedule.id,
            update_time: schedule.computed_at.to_string(),
            vendor_id,
            vendor_type: vendor_type(&schedule.kind),
        }
    }
}

/// Lists the schedules of jobs.
#[utoipa::path(
    get, path = "/api/v2.0/schedules", operation_id = "listSchedules", tag = "schedule",
    responses((status = 200, description = "A page of schedules.", body = Vec<View>))
)]
pub(crate) async fn list(
    listing: Listing,
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = Selection {
        page: listing.rows(),
        ..Selection::all()
    };
    let (found, total) = schedule::list(&mut app.db.reader().await?, &selection).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// The next runs of a schedule.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextRuns {
    /// At most five, in UTC; none if the schedule never runs.
    next: Vec<String>,
}

/// How many runs are shown.
const RUNS: usize = 5;

/// Returns the next five times at which a schedule would run, for forms and tables.
#[utoipa::path(
    get, path = "/api/ext/v1/schedules/next", operation_id = "getNextRuns", tag = "schedule",
    params(("cron" = String, Query, description = "Six fields, in UTC.")),
    responses((status = 200, description = "The times.", body = NextRuns))
)]
pub(crate) async fn next(
    params: Params,
    _: Granted<SignedIn>,
    State(app): App,
) -> Rendered<NextRuns> {
    let cron: Cron = params
        .required("cron")?
        .parse()
        .map_err(|invalid: InvalidCron| Error::BadRequest(format!("cron: {invalid}")))?;
    let next = cron.following(app.clock.now(), RUNS);
    let next = next.iter().map(Timestamp::to_string).collect();
    Ok(Json(NextRuns { next }))
}

/// Whether schedules are paused.
#[derive(Serialize, ToSchema)]
#[schema(as = SchedulerStatus)]
pub(crate) struct Status {
    paused: bool,
}

/// The type of jobs in a path.
pub(crate) struct JobType(pub(super) String);

impl Input for JobType {
    fn parameters() -> Vec<Parameter> {
        let name = "The type of jobs, or `all`.";
        vec![in_path("job_type", Type::String, name)]
    }
}

impl FromRequestParts<Arc<AdminState>> for JobType {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        text_param(parts, app, "job_type").await.map(Self)
    }
}

/// Says whether schedules are paused. Only all of them can be, not a single one.
#[utoipa::path(
    get, path = "/api/v2.0/schedules/{job_type}/paused", operation_id = "getSchedulePaused", tag = "schedule",
    responses((status = 200, description = "Whether they are.", body = Status))
)]
pub(crate) async fn paused(
    JobType(named): JobType,
    _: Granted<SignedIn>,
    State(app): App,
) -> Rendered<Status> {
    if !named.eq_ignore_ascii_case("all") {
        return Err(Error::BadRequest(format!(
            "job_type in path: must be all: {named}"
        )));
    }
    let paused = Paused::read(&mut app.db.reader().await?).await?;
    let paused = paused.has(SCHEDULER);
    Ok(Json(Status { paused }))
}
