//! Notices of what the caller should know and can act on. They are computed from rows when requested, and not stored. A
//! dismissed one comes back at its next stage, since the ID names the stage.

mod stage;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use db::notice::{self, EndingRobot, FailedJob, FullProject, Robots};
use db::{Reader, binding};
use http::request::Parts;
use model::ProjectId;
use policy::{Action, Caller, Resource, SignedIn, table};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::param::text_param;
use crate::{AdminState, App, Error};

/// How long before it expires a robot is reported.
const AHEAD: Duration = Duration::from_secs(14 * 86_400);
/// How long after it expired.
const AFTER: Duration = Duration::from_secs(30 * 86_400);
/// How long a failed job is reported.
const FAILURES: Duration = Duration::from_secs(7 * 86_400);
/// Percentage of its quota from which a project is reported.
const NEARLY_FULL: i64 = 90;

/// A notice.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub(crate) struct View {
    /// Names its object and the stage that this has reached.
    id: String,
    /// `robot_expiry`, `quota`, `certificate`, `acme`, `read_only` or `job_failed`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    project_id: Option<ProjectId>,
    /// `info`, `warning` or `error`.
    severity: &'static str,
    /// Its object: a name or an ID.
    subject: String,
    text: String,
    /// When it happens or happened, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// Lists what the caller should know: robots that expire, nearly full quotas, server certificates, read-only mode,
/// and failed jobs. Project admins see what concerns their projects.
#[utoipa::path(
    get, path = "/api/ext/v1/notices", operation_id = "listNotices", tag = "notices",
    responses((status = 200, description = "The notices that were not dismissed.", body = Vec<View>))
)]
pub(crate) async fn list(
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Vec<View>> {
    let mut reader = app.db.reader().await?;
    let dismissed = notice::dismissed(&mut reader, permit.principal()).await?;
    let mut views = all(&app, &mut reader, permit.caller()).await?;
    views.retain(|view| !dismissed.contains(&view.id));
    Ok(Json(views))
}

/// Dismisses a notice, only for the caller, until its object reaches the next stage.
#[utoipa::path(
    delete, path = "/api/ext/v1/notices/{notice_id}", operation_id = "dismissNotice", tag = "notices",
    responses(
        (status = 200, description = "Dismissed."),
        (status = 404, description = "The caller has no such notice."),
    )
)]
pub(crate) async fn dismiss(
    NoticeRef(id): NoticeRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<(), Error> {
    let views = all(&app, &mut app.db.reader().await?, permit.caller()).await?;
    if !views.iter().any(|view| view.id == id) {
        return Err(Error::NotFound(format!("notice {id} not found")));
    }
    Ok(tenancy::preference::dismiss(&app.db, &permit, id, app.clock.now()).await?)
}

/// The notice in a path.
pub(crate) struct NoticeRef(String);

impl Input for NoticeRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("notice_id", Type::String, "The notice's ID.")]
    }
}

impl FromRequestParts<Arc<AdminState>> for NoticeRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        text_param(parts, app, "notice_id").await.map(Self)
    }
}

/// All notices for a caller, dismissed or not.
async fn all(app: &AdminState, reader: &mut Reader, caller: &Caller) -> Result<Vec<View>, Error> {
    let now = app.clock.now();
    let mut views = Vec::new();
    if app.settings.current().read_only {
        views.push(read_only());
    }
    let own = match caller.is_sysadmin() {
        true => None,
        false => Some(administered(reader, caller).await?),
    };
    if own.as_ref().is_some_and(Vec::is_empty) {
        return Ok(views);
    }
    if own.is_none() {
        views.extend(certificates(app));
        views.extend(acme(app, reader).await?);
        let failed = notice::failed_jobs(reader, now.minus(FAILURES)).await?;
        views.extend(failed.into_iter().map(View::from));
    }
    let robots = own.as_deref().map_or(Robots::All, Robots::Of);
    let times = (now.minus(AFTER), now.plus(AHEAD));
    let ending = notice::ending_robots(reader, robots, times).await?;
    views.extend(ending.iter().map(|robot| robot_view(robot, now)));
    let full = notice::full_projects(reader, own.as_deref(), NEARLY_FULL).await?;
    views.extend(full.into_iter().map(View::from));
    Ok(views)
}

/// The projects whose robots and quota the caller administers.
async fn administered(reader: &mut Reader, caller: &Caller) -> Result<Vec<ProjectId>, Error> {
    let Some(principal) = caller.id().filter(|_| caller.user().is_some()) else {
        return Ok(Vec::new());
    };
    let roles = table::roles_with(Resource::Robot, Action::Update);
    Ok(binding::projects_with(reader, principal, roles).await?)
}

fn read_only() -> View {
    View {
        id: "read-only".to_owned(),
        kind: "read_only",
        project_id: None,
        severity: "warning",
        subject: "read_only".to_owned(),
        text: "The registry is read-only: nothing can be pushed, changed or deleted.".to_owned(),
        time: None,
    }
}

/// What is wrong with certificates in use, or will be soon.
fn certificates(app: &AdminState) -> Vec<View> {
    let now = app.clock.now().date_time();
    let mut views = Vec::new();
    for (presented, found) in app.certificates.in_use(now) {
        let certificate = &presented.certificate;
        let end = certificate.not_after();
        let (stage, severity) = stage::before_end((end - now).whole_days());
        let is_ending = certs::expiry_warning(certificate, now).is_some();
        views.extend(found.into_iter().enumerate().map(|(at, text)| {
            let is_end = is_ending && at == 0;
            let stage = if is_end {
                stage.to_string()
            } else {
                format!("chain{}", at - usize::from(is_ending))
            };
            View {
                id: format!("certificate-{}-{stage}", certificate.serial()),
                kind: "certificate",
                project_id: None,
                severity: if is_end { severity } else { "warning" },
                subject: certificate.names().join(", "),
                text,
                time: is_end.then(|| crate::certificate::time(end)),
            }
        }));
    }
    let clients = app.certificates.tls.client_findings(now).into_iter();
    views.extend(clients.map(|text| View {
        id: format!("certificate-clients-{}", hash(&text)),
        kind: "certificate",
        project_id: None,
        severity: "warning",
        subject: "client certificates".to_owned(),
        text,
        time: None,
    }));
    views
}

/// A text in a few characters.
fn hash(text: &str) -> String {
    let digest = model::Digest::of(model::Algorithm::Sha256, text.as_bytes()).to_string();
    digest.chars().skip(7).take(16).collect()
}

/// That no certificate was obtained by ACME.
async fn acme(app: &AdminState, reader: &mut Reader) -> Result<Option<View>, Error> {
    if app.certificates.acme.is_none() {
        return Ok(None);
    }
    let order = db::acme::order(reader).await?;
    let failed = order.filter(|order| order.state == db::acme::State::Failed);
    Ok(failed.map(|order| {
        let (reason, message) = (order.reason.unwrap_or_default(), order.message.unwrap_or_default());
        View {
            // Another reason makes another notice.
            id: format!("acme-{reason}"),
            kind: "acme",
            project_id: None,
            severity: "error",
            subject: reason,
            text: format!(
                "No certificate was obtained by ACME, {} times in a row: {message}. The next attempt is at {}.",
                order.failures, order.next_at
            ),
            time: order.failed_at.map(|at| at.to_string()),
        }
    }))
}

fn robot_view(robot: &EndingRobot, now: model::Timestamp) -> View {
    let days = (robot.expires_at.0 - now.0).div_euclid(86_400 * 1_000_000);
    let (stage, severity) = stage::before_end(days);
    let EndingRobot {
        id,
        name,
        expires_at,
        ..
    } = robot;
    let text = match days {
        ..0 => format!("Robot {name} expired at {expires_at}: it cannot sign in any more."),
        0 => format!("Robot {name} expires today, at {expires_at}."),
        1 => format!("Robot {name} expires at {expires_at}, in a day."),
        _ => format!("Robot {name} expires at {expires_at}, in {days} days."),
    };
    View {
        // Another expiry time makes another notice.
        id: format!("robot-{id}-{}-{stage}", expires_at.seconds()),
        kind: "robot_expiry",
        project_id: robot.project,
        severity,
        subject: name.clone(),
        text,
        time: Some(expires_at.to_string()),
    }
}

impl From<FullProject> for View {
    fn from(project: FullProject) -> Self {
        let FullProject {
            id,
            name,
            used,
            limit,
        } = project;
        let percent = stage::percent(used, limit);
        let (stage, severity) = stage::of_quota(percent);
        Self {
            id: format!("quota-{id}-{limit}-{stage}"),
            kind: "quota",
            project_id: Some(id),
            severity,
            subject: name.to_string(),
            text: format!(
                "Project {name} holds {used} of {limit} bytes, {percent} % of its quota."
            ),
            time: None,
        }
    }
}

impl From<FailedJob> for View {
    fn from(job: FailedJob) -> Self {
        let FailedJob {
            id,
            kind,
            error,
            attempts,
            at,
        } = job;
        Self {
            id: format!("job-{id}-{}", at.seconds() / 86_400),
            kind: "job_failed",
            project_id: None,
            severity: "error",
            subject: id.to_string(),
            text: format!("Job {id} ({kind}) failed {attempts} times: {error}"),
            time: Some(at.to_string()),
        }
    }
}
