//! Why somebody may or may not do something in a project: the same decision as for their own request, with its reasons.

pub(crate) mod matrix;
pub(crate) mod subject;

use axum::Json;
use axum::extract::State;
use db::{Reader, binding, project};
use model::ProjectName;
use policy::{Action, Caller, Permission, Resource, Standing, SystemPermit, table};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::subject::Subject;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::param::Params;
use crate::{App, Error};

/// The decision and its reasons.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation {
    action: &'static str,
    allowed: bool,
    project: String,
    /// What allows it, or would if it were sufficient, strongest first; empty if nothing does.
    reasons: Vec<Reason>,
    resource: &'static str,
    subject: String,
}

/// A right of the subject.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reason {
    /// Whether it allows the action.
    allows: bool,
    /// `sysadmin`, `role`, `group`, `robot`, `public`, `ended` or `read_only`.
    kind: &'static str,
    text: String,
}

impl Reason {
    fn new(kind: &'static str, allows: bool, text: impl Into<String>) -> Self {
        Self {
            allows,
            kind,
            text: text.into(),
        }
    }
}

/// Explains whether a user, a robot, a group or everyone may do an action on a resource of a project.
#[utoipa::path(
    get, path = "/api/ext/v1/access/explain", operation_id = "explainAccess", tag = "access",
    params(
        ("subject" = String, Query, description = "`user:NAME`, `robot:NAME`, `group:NAME` or `anonymous`."),
        ("action" = String, Query, description = "`RESOURCE:ACTION`, such as `repository:push`."),
        ("project" = String, Query, description = "The project's name."),
    ),
    responses((status = 200, description = "The decision and the reasons.", body = Explanation))
)]
pub(crate) async fn explain(
    params: Params,
    Granted(_): Granted<SystemPermit>,
    State(app): App,
) -> Rendered<Explanation> {
    let named = params.required("subject")?.to_owned();
    let need = need(params.required("action")?)?;
    let project = params.required("project")?;
    let subject = Subject::find(&app, &named).await?;
    let mut reader = app.db.reader().await?;
    let found = find(&mut reader, project).await?;
    let name = found.name.to_string();
    let (caller, ended) = (subject.caller(), subject.ended());
    let held = subject.roles(&mut reader, found.id).await?;
    let standing = Standing {
        project: std::sync::Arc::new(found.facts()),
        roles: held.iter().map(|held| held.role).collect(),
    };
    let mut reasons = reasons(caller, &standing, &held, need);
    let mut allowed = standing.allowed(caller, need.0).contains(need.1);
    if let Some(why) = ended {
        allowed = false;
        reasons.insert(0, Reason::new("ended", false, why));
    }
    if is_write(need.1) && app.settings.current().read_only {
        allowed = false;
        let text = "the installation is read-only: nothing is written now";
        reasons.insert(0, Reason::new("read_only", false, text));
    }
    Ok(Json(Explanation {
        action: need.1.name(),
        allowed,
        project: name,
        reasons,
        resource: need.0.name(),
        subject: named,
    }))
}

async fn find(reader: &mut Reader, name: &str) -> Result<project::Project, Error> {
    let missing = || Error::NotFound(format!("project {name} not found"));
    let parsed: ProjectName = name.parse().map_err(|_| missing())?;
    project::by_name(reader, &parsed).await?.ok_or_else(missing)
}

/// The resource and the action.
fn need(text: &str) -> Result<(Resource, Action), Error> {
    let pair = text.split_once(':').and_then(|(resource, action)| {
        Some((Resource::from_name(resource)?, Action::from_name(action)?))
    });
    pair.ok_or_else(|| {
        Error::BadRequest(format!(
            "action: must be RESOURCE:ACTION, such as repository:push, not {text:?}"
        ))
    })
}

/// Every action except reading.
const fn is_write(action: Action) -> bool {
    !matches!(action, Action::Read | Action::List | Action::Pull)
}

/// All rights of the caller, whether they allow the action or not.
fn reasons(
    caller: &Caller,
    standing: &Standing,
    held: &[binding::Held],
    (resource, action): (Resource, Action),
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if caller.is_sysadmin() {
        reasons.push(Reason::new("sysadmin", true, "is a system administrator"));
    }
    if let Some(robot) = &caller.authority.own {
        let own = robot.permissions.in_project(standing.project.id, resource);
        let asked = Permission::Project(standing.project.id, resource, action);
        let given = own.contains(action);
        let text = match given {
            true => format!("was given {asked} here, in all projects, or by what implies it"),
            false => format!("was not given {asked}"),
        };
        reasons.push(Reason::new("robot", given, text));
    }
    reasons.extend(held.iter().map(|held| {
        let allows = table::allowed(held.role, resource).contains(action);
        match &held.group {
            None => Reason::new("role", allows, format!("is {}", held.role.name())),
            Some(group) => {
                let text = format!("is {} by the group {group}", held.role.name());
                Reason::new("group", allows, text)
            }
        }
    }));
    if standing.project.public {
        let allows = table::public(resource).contains(action);
        reasons.push(Reason::new("public", allows, "the project is public"));
    }
    reasons
}
