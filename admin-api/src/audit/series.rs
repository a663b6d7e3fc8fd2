//! Numbers of audit entries by hour or day, for charts.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use db::audit::Scope;
use db::audit::hour::{self, Counted};
use db::audit::list::{SEARCHED, bound_search};
use db::audit::series::{self, Point};
use db::audit::{self, Filter};
use db::list::{Page, Test};
use model::{Operation, ResourceType, Timestamp};
use policy::{Caller, SignedIn};
use serde::Serialize;
use utoipa::ToSchema;

use super::scope;
use crate::allowed::Granted;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::Params;
use crate::query::Query;
use crate::{AdminState, App, Error, room};

/// Maximum points of a series.
const MOST: u32 = 500;

/// The answer.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditSeries)]
pub(crate) struct Series {
    points: Vec<View>,
    /// Whether the first point is incomplete and earlier ones are missing, because the number of counted entries is
    /// limited.
    truncated: bool,
}

/// A span of time.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPoint)]
struct View {
    done: i64,
    refused: i64,
    time: String,
}

impl From<Point> for View {
    fn from(point: Point) -> Self {
        Self {
            done: point.done,
            refused: point.refused,
            time: point.since.to_string(),
        }
    }
}

/// The length of a span, and how many are shown if no time is given.
fn step(text: Option<&str>) -> Result<(Duration, u32), Error> {
    const HOUR: Duration = Duration::from_secs(3_600);
    match text.unwrap_or("hour") {
        "hour" => Ok((HOUR, 24)),
        "day" => Ok((HOUR * 24, 30)),
        other => Err(Error::Validation(format!(
            "step in query should be one of [hour day]: {other:?}"
        ))),
    }
}

/// Counts the entries that a search finds among those that the caller may see, by hour or day: at most the last 500 of
/// these; without a time, those of a day or a month.
#[utoipa::path(
    get, path = "/api/ext/v1/stats/audit", operation_id = "countAuditLog", tag = "auditlog",
    params(
        ("step" = Option<String>, Query, description = "`hour`, which is the default, or `day`."),
        ("q" = Option<String>, Query, description = "Conditions, as those of the list."),
    ),
    responses((status = 200, description = "The counts, oldest first.", body = Series))
)]
pub(crate) async fn count(
    By(caller): By,
    params: Params,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Series> {
    points(&app, (&caller, &permit), &params, |filter| filter).await
}

/// Counts pulls in the part of the audit log that the caller may see, by hour or day, as `stats/audit` counts all
/// entries.
#[utoipa::path(
    get, path = "/api/ext/v1/stats/pulls", operation_id = "countPulls", tag = "auditlog",
    params(
        ("step" = Option<String>, Query, description = "`hour`, which is the default, or `day`."),
        ("q" = Option<String>, Query, description = "Conditions, as those of the audit log."),
    ),
    responses((status = 200, description = "The counts, oldest first.", body = Series))
)]
pub(crate) async fn pulls(
    By(caller): By,
    params: Params,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Series> {
    if let Some(points) = all_by_hour(&app, (&caller, &permit), &params, Counted::Pulls).await? {
        return Ok(Json(points));
    }
    let pulled = |filter| Filter {
        operation: Some(Operation::Pull),
        ..filter
    };
    points(&app, (&caller, &permit), &params, pulled).await
}

/// Counts pushes of artifacts in the part of the audit log that the caller may see, by hour or day, as `stats/audit`
/// counts all entries.
#[utoipa::path(
    get, path = "/api/ext/v1/stats/pushes", operation_id = "countPushes", tag = "auditlog",
    params(
        ("step" = Option<String>, Query, description = "`hour`, which is the default, or `day`."),
        ("q" = Option<String>, Query, description = "Conditions, as those of the audit log."),
    ),
    responses((status = 200, description = "The counts, oldest first.", body = Series))
)]
pub(crate) async fn pushes(
    By(caller): By,
    params: Params,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Series> {
    if let Some(points) = all_by_hour(&app, (&caller, &permit), &params, Counted::Pushes).await? {
        return Ok(Json(points));
    }
    let pushed = |mut filter: Filter| {
        let artifact = ResourceType::Artifact.name().to_owned();
        filter
            .tests
            .push((audit::RESOURCE_TYPE, Test::Is(artifact)));
        filter.operation = Some(Operation::Create);
        filter
    };
    points(&app, (&caller, &permit), &params, pushed).await
}

/// The points of all projects, from counters: exact, and of times of which entries were purged. `None` where a search
/// narrows them, or the caller sees only a part of the log.
async fn all_by_hour(
    app: &AdminState,
    (caller, permit): (&Caller, &SignedIn),
    params: &Params,
    counted: Counted,
) -> Result<Option<Series>, Error> {
    let (step, usual) = step(params.get("step"))?;
    if params.get("q").is_some() {
        return Ok(None);
    }
    let _turn = room::turn(app, caller).await?;
    let mut reader = app.db.reader().await?;
    let Scope::Everything = scope::of(app, &mut reader, permit).await? else {
        return Ok(None);
    };
    let (to, micros) = (app.clock.now(), step.as_micros() as i64);
    let from = to.minus(step * usual);
    let from = Timestamp(from.0.div_euclid(micros) * micros);
    let to = Timestamp(to.0 + 1);
    let points = hour::points(&mut reader, counted, (from, to), micros).await?;
    Ok(Some(Series {
        points: points.into_iter().map(View::from).collect(),
        truncated: false,
    }))
}

/// The points of a narrowed search.
async fn points(
    app: &AdminState,
    (caller, permit): (&Caller, &SignedIn),
    params: &Params,
    narrow: impl FnOnce(Filter) -> Filter + Send,
) -> Rendered<Series> {
    let (step, usual) = step(params.get("step"))?;
    let selection = Query::parse(params)?.select(&audit::FIELDS, Page::ALL)?;
    let _turn = room::turn(app, caller).await?;
    let mut reader = app.db.reader().await?;
    let scope = scope::of(app, &mut reader, permit).await?;
    let mut filter = narrow(scope::filter(app, scope, &selection));
    let end = app
        .clock
        .now()
        .min(filter.to.unwrap_or(Timestamp(i64::MAX)));
    let spans = if filter.from.is_some() { MOST } else { usual };
    filter.from = filter.from.max(Some(end.minus(step * spans)));
    let searched_since = bound_search(&mut reader, &mut filter, SEARCHED).await?;
    let micros = step.as_micros() as i64;
    let (points, truncated) = series::series(&mut reader, &filter, micros).await?;
    let truncated = truncated || searched_since.is_some();
    let points = points.into_iter().map(View::from).collect();
    Ok(Json(Series { points, truncated }))
}
