//! Executions and schedules as the API shows them.

use db::job::{Job, State};
use db::schedule::Schedule;
use jobs::execution::Cadence;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Served, ordered};
use crate::Error;

/// An execution, or the schedule of executions.
#[derive(Serialize, ToSchema)]
#[schema(as = ExecHistory)]
pub(crate) struct History {
    creation_time: String,
    id: i64,
    job_kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_name: Option<&'static str>,
    job_parameters: String,
    job_status: &'static str,
    schedule: ScheduleView,
    update_time: String,
}

/// When it runs.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleObj)]
struct ScheduleView {
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    next_scheduled_time: String,
    #[serde(rename = "type")]
    cadence: &'static str,
}

/// Harbor's value for no time.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

impl History {
    pub(super) fn of<S: Served>(job: &Job) -> Result<Self, Error> {
        let ordered = ordered::<S>(&job.payload)?;
        let is_manual = ordered.cadence == Cadence::Manual;
        let updated = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
        Ok(Self {
            creation_time: job.created_at.to_string(),
            id: job.id.0,
            job_kind: if is_manual { "MANUAL" } else { "SCHEDULE" }.to_owned(),
            job_name: Some(S::JOB_NAME),
            job_parameters: S::run(&ordered.parameters, job.result.as_deref()).to_string(),
            job_status: status(job.state),
            schedule: ScheduleView {
                cron: None,
                next_scheduled_time: NEVER.to_owned(),
                cadence: if is_manual { "Manual" } else { "Schedule" },
            },
            update_time: updated.to_string(),
        })
    }

    pub(super) fn scheduled<S: Served>(schedule: &Schedule) -> Result<Self, Error> {
        let ordered = ordered::<S>(&schedule.payload)?;
        let cron = schedule.cron.to_string();
        Ok(Self {
            creation_time: schedule.computed_at.to_string(),
            id: schedule.id,
            job_kind: cron.clone(),
            job_name: None,
            job_parameters: S::scheduled(&ordered.parameters).to_string(),
            job_status: "Running",
            schedule: ScheduleView {
                cron: Some(cron),
                next_scheduled_time: schedule.next_at.to_string(),
                cadence: ordered.cadence.name(),
            },
            update_time: schedule.computed_at.to_string(),
        })
    }
}

/// Harbor's words.
pub(super) const fn status(state: State) -> &'static str {
    match state {
        State::Queued => "Pending",
        State::Running => "Running",
        State::Done => "Success",
        State::Failed => "Error",
        State::Cancelled => "Stopped",
    }
}
