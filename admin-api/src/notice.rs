//! Notices of what the caller should know and can act on. They are computed from rows when requested, and not stored. A
//! dismissed one comes back at its next stage, since the ID names the stage.

mod stage;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use db::audit::follower::{self, Follower};
use db::notice::{self, EndingRobot, FailedJob, FullProject, Robots};
use db::webhook::target::{self as webhook_targets, Failing};
use db::{Reader, binding};
use http::request::Parts;
use jobs::audit_forward::Collector;
use model::{ProjectId, Timestamp};
use policy::{Action, Caller, Resource, SignedIn, table};
use serde::Serialize;
use tenancy::setting::Values;
use tenancy::setting::follower::endpoint_of;
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
/// How long a webhook's receiver has not answered that is reported.
const SILENT: Duration = Duration::from_secs(3_600);
/// Percentage of its quota from which a project is reported.
const NEARLY_FULL: i64 = 90;

/// How long a receiver of the audit log fails before that is reported.
const BEHIND: Duration = Duration::from_secs(60);

/// A notice.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub(crate) struct View {
    /// Names its object and the stage that this has reached.
    id: String,
    /// `robot_expiry`, `quota`, `certificate`, `acme`, `read_only`, `admin_password`, `audit_forward`,
    /// `registry_notification`, `webhook` or `job_failed`.
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

/// Lists what the caller should know: robots that expire, nearly full quotas, receivers of webhooks and of the audit log
/// that take nothing, server certificates, read-only mode, a password of `admin` that is set but not in use, and failed
/// jobs. Project admins see what concerns their projects.
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
        views.extend(behind(app, reader, now).await?);
        if app.unused_password.load(Ordering::Relaxed) {
            views.push(unused_password(app));
        }
        let failed = notice::failed_jobs(reader, now.minus(FAILURES)).await?;
        views.extend(failed.into_iter().map(View::from));
    }
    let robots = own.as_deref().map_or(Robots::All, Robots::Of);
    let times = (now.minus(AFTER), now.plus(AHEAD));
    let ending = notice::ending_robots(reader, robots, times).await?;
    views.extend(ending.iter().map(|robot| robot_view(robot, now)));
    let full = notice::full_projects(reader, own.as_deref(), NEARLY_FULL).await?;
    views.extend(full.into_iter().map(View::from));
    let before = now.minus(SILENT);
    let silent = webhook_targets::failing(reader, own.as_deref(), before, notice::MOST).await?;
    views.extend(silent.into_iter().map(View::from));
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

/// Another start makes another notice.
fn unused_password(app: &AdminState) -> View {
    View {
        id: format!("admin-password-{}", app.process.started.seconds()),
        kind: "admin_password",
        project_id: None,
        severity: "warning",
        subject: "admin".to_owned(),
        text: "The password of admin is not the one in GANTRY_ADMIN_PASSWORD or [secrets] admin_password_file, which is for the first start alone: change it by `gantry user passwd admin`, or remove the setting.".to_owned(),
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
    // It stands while the next attempt is under way, which may fail as well.
    let failed = order.filter(|order| order.failures > 0 && order.reason.is_some());
    Ok(failed.map(|order| {
        let next = match order.state {
            db::acme::State::Failed => format!("The next attempt is at {}.", order.next_at),
            _ => "The next attempt is under way.".to_owned(),
        };
        let (reason, message) = (
            order.reason.unwrap_or_default(),
            order.message.unwrap_or_default(),
        );
        View {
            // Another reason makes another notice.
            id: format!("acme-{reason}"),
            kind: "acme",
            project_id: None,
            severity: "error",
            subject: reason,
            text: format!(
                "No certificate was obtained by ACME, {} times in a row: {message}. {next}",
                order.failures
            ),
            time: order.failed_at.map(|at| at.to_string()),
        }
    }))
}

/// Followers of the audit log whose receiver has not taken anything for a while.
async fn behind(app: &AdminState, reader: &mut Reader, now: Timestamp) -> Result<Vec<View>, Error> {
    let values = app.settings.current();
    let wanted = values.followers();
    let followers = follower::all(reader).await?;
    let failing = followers
        .into_iter()
        .filter(|follower| wanted.contains(&follower.name));
    let views = failing.filter_map(|follower| behind_view(&follower, &values, now));
    Ok(views.collect())
}

fn behind_view(follower: &Follower, values: &Values, now: Timestamp) -> Option<View> {
    let since = follower.failing_since?;
    let failing = now.since(since);
    if failing < BEHIND {
        return None;
    }
    let (kind, what) = match endpoint_of(&follower.name) {
        Some(_) => (
            "registry_notification",
            "Events of the registry are not sent",
        ),
        None => ("audit_forward", "The audit log is not forwarded"),
    };
    let collector = Collector::ALL
        .into_iter()
        .find(|collector| collector.follower() == follower.name);
    let address = collector.map(|collector| collector.address(values));
    let subject = endpoint_of(&follower.name).or(address).unwrap_or_default();
    let days = failing.as_secs() / 86_400;
    Some(View {
        id: format!("{}-{}-{days}", follower.name, since.seconds()),
        kind,
        project_id: None,
        severity: if days == 0 { "warning" } else { "error" },
        subject: subject.to_owned(),
        text: format!(
            "{what} to {subject} since {since}, and waits: {}",
            follower.error
        ),
        time: Some(since.to_string()),
    })
}

fn robot_view(robot: &EndingRobot, now: Timestamp) -> View {
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

impl From<Failing> for View {
    fn from(failing: Failing) -> Self {
        let Failing {
            target,
            policy,
            project,
            project_name,
            since,
            skipped,
            error,
        } = failing;
        let (stage, severity) = stage::of_webhook(skipped);
        let what = format!("The receiver of webhook {policy} in project {project_name}");
        let text = match skipped {
            true => format!(
                "{what} has not answered since {since}: what waited for it is given up, and only one event at a time is \
                 tried until it answers. Last error: {error}"
            ),
            false => format!(
                "{what} has not answered since {since}: events wait for it, 7 days at most. Last error: {error}"
            ),
        };
        Self {
            id: format!("webhook-{target}-{}-{stage}", since.seconds()),
            kind: "webhook",
            project_id: Some(project),
            severity,
            subject: policy,
            text,
            time: Some(since.to_string()),
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
