//! Queues of waiting jobs.

use axum::Json;
use axum::extract::State;
use db::job::{self, Waiting};
use jobs::engine::pause::{self, Action, Paused, QUEUES};
use policy::{SystemPermit, system, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schedule::JobType;
use super::vendor_type;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// A queue.
#[derive(Serialize, ToSchema)]
#[schema(as = JobQueue)]
pub(crate) struct View {
    count: i64,
    job_type: String,
    /// Seconds that the oldest job has waited.
    latency: i64,
    paused: bool,
}

/// Lists the queues: how many jobs wait, for how long, and whether they are paused.
#[utoipa::path(
    get, path = "/api/v2.0/jobservice/queues", operation_id = "listJobQueues", tag = "jobservice",
    responses((status = 200, description = "The queues.", body = Vec<View>))
)]
pub(crate) async fn list(
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Rendered<Vec<View>> {
    let now = app.clock.now();
    let mut reader = app.db.reader().await?;
    let waiting = job::waiting(&mut reader, now).await?;
    let paused = Paused::read(&mut reader).await?;
    let views = QUEUES.map(|kind| {
        let found = waiting.iter().find(|waiting| waiting.kind == kind);
        let latency = |waiting: &Waiting| (now.0 - waiting.oldest_due.0).max(0) / 1_000_000;
        View {
            count: found.map_or(0, |waiting| waiting.jobs),
            job_type: vendor_type(kind),
            latency: found.map_or(0, latency),
            paused: paused.has(kind),
        }
    });
    Ok(Json(views.into()))
}

/// The body of `PUT /jobservice/queues/{job_type}`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct ActionRequest {
    action: Option<String>,
}

impl BodyOf for ActionRequest {
    const NAME: &'static str = "action_request";
}

impl ActionRequest {
    fn parse(&self) -> Result<Action, Error> {
        let given = self.action.as_deref().unwrap_or_default();
        match &*given.to_ascii_lowercase() {
            "stop" => Ok(Action::Stop),
            "pause" => Ok(Action::Pause),
            "resume" => Ok(Action::Resume),
            _ => Err(Error::Validation(
                "validation failure list:\naction in body should be one of [stop pause resume]"
                    .to_owned(),
            )),
        }
    }
}

/// Stops, pauses or resumes the waiting jobs of a queue, or of all queues. Running jobs continue.
#[utoipa::path(
    put, path = "/api/v2.0/jobservice/queues/{job_type}", operation_id = "actionPendingJobs", tag = "jobservice",
    request_body = ActionRequest,
    responses((status = 200, description = "Done."))
)]
pub(crate) async fn act(
    JobType(named): JobType,
    Granted(permit): Granted<SystemPermit<(system::JobMonitor, to::Stop)>>,
    State(app): App,
    body: Unread<ActionRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let action = body.parse()?;
    let kind = match named.eq_ignore_ascii_case("all") {
        true => None,
        false => {
            let is_named = |kind: &&str| vendor_type(kind).eq_ignore_ascii_case(&named);
            let found = QUEUES.into_iter().find(is_named);
            let missing = || Error::NotFound(format!("job queue {named} not found"));
            Some(found.ok_or_else(missing)?)
        }
    };
    Ok(pause::act(&app.db, &permit, kind, action, app.clock.now()).await?)
}
