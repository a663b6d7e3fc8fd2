//! Starting and scheduling executions, by Harbor's requests.

use axum::Json;
use axum::response::{IntoResponse, Response};
use db::schedule;
use http::header::LOCATION;
use http::{StatusCode, Uri};
use jobs::engine::Job;
use jobs::execution::{self, Cadence};
use model::Cron;
use policy::SystemPermit;
use policy::system::SystemNeed;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{History, Served};
use crate::json::BodyOf;
use crate::{AdminState, Error};

/// The body of requests that start or schedule executions.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleRequest {
    schedule: Option<Times>,
    #[schema(value_type = Option<Object>)]
    parameters: Option<Map<String, Value>>,
}

/// When they run.
#[derive(Default, Deserialize, ToSchema)]
struct Times {
    #[serde(rename = "type")]
    cadence: Option<String>,
    cron: Option<String>,
}

impl BodyOf for ScheduleRequest {
    const NAME: &'static str = "schedule";
}

/// The request.
enum Asked {
    /// To run it now.
    Now,
    /// To run it at these times.
    At(Cadence, Box<Cron>),
    /// To end the schedule.
    Never,
}

impl ScheduleRequest {
    fn asked<S: Served>(&self) -> Result<Asked, Error> {
        let times = self.schedule.as_ref();
        let named = times
            .and_then(|times| times.cadence.as_deref())
            .unwrap_or_default();
        let cadence = match named {
            "Manual" => return Ok(Asked::Now),
            "None" => return Ok(Asked::Never),
            "Hourly" => Cadence::Hourly,
            "Daily" => Cadence::Daily,
            "Weekly" => Cadence::Weekly,
            "Custom" => Cadence::Custom,
            _ => {
                return Err(Error::Validation(
                    "schedule.type in body should be one of [Hourly Daily Weekly Custom Manual None]"
                        .to_owned(),
                ));
            }
        };
        let cron = times
            .and_then(|times| times.cron.as_deref())
            .unwrap_or_default();
        Ok(Asked::At(cadence, Box::new(parse_cron(S::SHORT, cron)?)))
    }

    fn parameters<S: Served>(&self) -> Result<super::ParametersOf<S>, Error> {
        let none = Map::new();
        S::parameters(self.parameters.as_ref().unwrap_or(&none))
    }
}

/// Six fields, of which the first is 0: nothing runs twice a minute.
pub(crate) fn parse_cron(what: &str, text: &str) -> Result<Cron, Error> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if fields.is_empty() {
        return Err(Error::BadRequest(format!(
            "schedule.cron: the cron string of scheduled {what} is empty"
        )));
    }
    let invalid = |why: String| {
        Error::BadRequest(format!(
            "invalid cron string for scheduled {what}: {text}, error: {why}"
        ))
    };
    if fields.len() != 6 {
        let (found, listed) = (fields.len(), fields.join(" "));
        return Err(invalid(format!(
            "expected exactly 6 fields, found {found}: [{listed}]"
        )));
    }
    if fields[0] != "0" {
        return Err(invalid("the first field, seconds, must be 0".to_owned()));
    }
    text.parse()
        .map_err(|error: model::cron::InvalidCron| invalid(error.to_string()))
}

/// Carries out a request; returns the ID of the execution, or 0 if none was started.
async fn set<S: Served>(
    app: &AdminState,
    permit: &SystemPermit<impl SystemNeed>,
    body: &ScheduleRequest,
) -> Result<i64, Error> {
    let (db, now) = (&app.db, app.clock.now());
    match body.asked::<S>()? {
        Asked::Never => execution::unschedule::<S::Execution>(db, permit, now).await?,
        Asked::Now => {
            let parameters = body.parameters::<S>()?;
            let started = execution::start::<S::Execution>(db, permit, parameters, now).await?;
            return Ok(started.0);
        }
        Asked::At(cadence, cron) => {
            let (times, parameters) = ((cadence, *cron), body.parameters::<S>()?);
            execution::schedule::<S::Execution>(db, permit, times, parameters, now).await?;
        }
    }
    Ok(0)
}

/// The answer of `POST`.
pub(super) async fn create<S: Served>(
    app: &AdminState,
    permit: &SystemPermit<impl SystemNeed>,
    uri: &Uri,
    body: &ScheduleRequest,
) -> Result<Response, Error> {
    let id = set::<S>(app, permit, body).await?;
    let path = uri
        .path()
        .trim_end_matches('/')
        .trim_end_matches("/schedule");
    Ok((StatusCode::CREATED, [(LOCATION, format!("{path}/{id}"))]).into_response())
}

/// The answer of `PUT`.
pub(super) async fn update<S: Served>(
    app: &AdminState,
    permit: &SystemPermit<impl SystemNeed>,
    body: &ScheduleRequest,
) -> Result<(), Error> {
    set::<S>(app, permit, body).await.map(|_| ())
}

/// The schedule; as in Harbor, an empty body if there is none.
pub(super) async fn get<S: Served>(app: &AdminState) -> Result<Response, Error> {
    let mut reader = app.db.reader().await?;
    let found = schedule::get(&mut reader, <S::Execution as Job>::KIND, "").await?;
    Ok(match found {
        Some(schedule) => Json(History::scheduled::<S>(&schedule)?).into_response(),
        None => {
            let json = http::HeaderValue::from_static("application/json");
            ([(http::header::CONTENT_TYPE, json)], "").into_response()
        }
    })
}
