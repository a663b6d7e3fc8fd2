//! Work that administrators start or schedule, in Harbor's form: a schedule, past and running executions, and their
//! logs. The common parts of garbage collection and purges of the audit log are here; their routes are in `gc` and
//! `purge_audit`.

pub(crate) mod gc;
mod history;
pub(crate) mod purge_audit;
mod schedule;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use db::job::{self, Job};
use db::job_log;
use db::list::{Direction, Test};
use http::request::Parts;
use jobs::engine::control;
use jobs::execution::{Execution, Ordered};
use model::JobId;
use policy::SystemPermit;
use policy::system::SystemNeed;
use serde_json::{Map, Value};
use utoipa::openapi::path::Parameter;

use crate::input::Input;
use crate::listing::Listing;
use crate::param::int_param;
use crate::{AdminState, Error};

pub(crate) use self::history::History;
pub(crate) use self::schedule::{ScheduleRequest, parse_cron};

/// Work that this API serves.
trait Served: Sized {
    /// What runs it.
    type Execution: Execution;
    /// Harbor's name of its jobs.
    const JOB_NAME: &'static str;
    /// The name used if there is no such execution.
    const WHAT: &'static str;
    /// The name used if its schedule is wrong.
    const SHORT: &'static str;

    /// Its parameters, from those of a request.
    fn parameters(given: &Map<String, Value>) -> Result<ParametersOf<Self>, Error>;

    /// The shown parameters and result of a run.
    fn run(parameters: &ParametersOf<Self>, result: Option<&str>) -> Value;

    /// The shown parameters of a schedule.
    fn scheduled(parameters: &ParametersOf<Self>) -> Value;
}

type ParametersOf<S> = <<S as Served>::Execution as Execution>::Parameters;

/// The payload of a job or a schedule.
fn ordered<S: Served>(payload: &str) -> Result<Ordered<ParametersOf<S>>, Error> {
    serde_json::from_str(payload).map_err(|error| jobs::Error::Payload(error).into())
}

/// A flag among the parameters of a request; false if absent.
fn flag(given: &Map<String, Value>, name: &'static str) -> Result<bool, Error> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(name, "true or false")),
    }
}

/// The error for a parameter of a request.
fn wrong(name: &str, expected: &str) -> Error {
    Error::BadRequest(format!("parameters.{name}: must be {expected}"))
}

/// A page of executions, the newest first.
async fn list<S: Served>(app: &AdminState, mut listing: Listing) -> Result<Response, Error> {
    let fields = [job::ID, job::CREATED, job::UPDATED];
    let mut selection = listing.select(&fields)?;
    let kind = <S::Execution as jobs::engine::Job>::KIND.to_owned();
    selection = selection.with(job::KIND, Test::Is(kind));
    selection.order = selection.order.or(Some((job::ID, Direction::Down)));
    let (found, total) = job::page(&mut app.db.reader().await?, &selection).await?;
    let views: Result<Vec<History>, Error> = found.iter().map(History::of::<S>).collect();
    Ok(listing.answer(&views?, total))
}

/// An execution.
async fn find<S: Served>(app: &AdminState, id: JobId) -> Result<Job, Error> {
    let found = job::get(&mut app.db.reader().await?, id).await?;
    let is_one = |job: &Job| job.kind == <S::Execution as jobs::engine::Job>::KIND;
    found
        .filter(is_one)
        .ok_or_else(|| Error::NotFound(format!("{} execution {id} not found", S::WHAT)))
}

/// Stops an execution; one that has ended stays as it is.
async fn stop<S: Served>(
    app: &AdminState,
    permit: &SystemPermit<impl SystemNeed>,
    id: JobId,
) -> Result<(), Error> {
    find::<S>(app, id).await?;
    stop_job(app, permit, id).await
}

/// Stops a job; one that has ended stays as it is.
pub(crate) async fn stop_job(
    app: &AdminState,
    permit: &SystemPermit<impl SystemNeed>,
    id: JobId,
) -> Result<(), Error> {
    match control::cancel(&app.db, permit, id, app.clock.now()).await {
        Ok(_) | Err(jobs::Error::NotCancelled(_)) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// The log of an execution.
async fn log<S: Served>(app: &AdminState, id: JobId) -> Result<String, Error> {
    find::<S>(app, id).await?;
    log_of(app, id).await
}

/// The log of a job, as text.
pub(crate) async fn log_of(app: &AdminState, id: JobId) -> Result<String, Error> {
    let mut reader = app.db.reader().await?;
    let lines = job_log::list(&mut reader, id, job_log::LINES).await?;
    let lines = lines.iter().map(|line| {
        let level = line.level.as_str().to_uppercase();
        format!("{} [{level}] {}\n", line.at, line.text)
    });
    Ok(lines.collect())
}

/// The execution in a path.
pub(crate) struct ExecutionRef<N> {
    id: JobId,
    named: std::marker::PhantomData<fn() -> N>,
}

/// How a path names an execution.
pub(crate) trait Named {
    /// The parameter's name.
    const NAME: &'static str;
}

impl<N: Named> Input for ExecutionRef<N> {
    fn parameters() -> Vec<Parameter> {
        let kind = utoipa::openapi::Type::Integer;
        vec![crate::input::in_path(N::NAME, kind, "The execution's ID.")]
    }
}

impl<N: Named> FromRequestParts<Arc<AdminState>> for ExecutionRef<N> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let id = JobId(int_param(parts, app, N::NAME).await?);
        Ok(Self {
            id,
            named: std::marker::PhantomData,
        })
    }
}
