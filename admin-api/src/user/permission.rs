//! What the caller may do in a project, for user interfaces.

use axum::Json;
use axum::extract::State;
use db::{binding, project};
use model::ProjectId;
use policy::{Action, Actions, Caller, Resource, Role, SignedIn, Standing, SystemResource, table};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Granted;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::Params;

/// A permission of the caller.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Permission {
    action: &'static str,
    resource: String,
}

/// Lists what the caller may do in the project `scope`, or on the installation; nothing for any other scope.
#[utoipa::path(
    get, path = "/api/v2.0/users/current/permissions", operation_id = "getCurrentUserPermissions", tag = "user",
    params(
        ("scope" = Option<String>, Query, description = "`/project/ID`, or a resource below it; `/system`."),
        ("relative" = Option<bool>, Query, description = "True for resources relative to the scope."),
    ),
    responses((status = 200, description = "The permissions.", body = Vec<Permission>))
)]
pub(crate) async fn list(
    By(caller): By,
    params: Params,
    Granted(_): Granted<SignedIn>,
    State(app): App,
) -> Rendered<Vec<Permission>> {
    let scope = params.get("scope").unwrap_or_default();
    let relative = params.flag("relative").unwrap_or(false);
    if scope == SYSTEM && !relative {
        return Ok(Json(on_system(&caller)));
    }
    let Some(id) = project_of(scope) else {
        return Ok(Json(Vec::new()));
    };
    let mut reader = app.db.reader().await?;
    let Some(project) = project::by_id(&mut reader, id).await? else {
        return Ok(Json(Vec::new()));
    };
    let standing = binding::standing_in(&mut reader, &caller, project.facts()).await?;
    let named = held(&caller, &standing).filter_map(|(resource, action)| {
        let resource = name(id, resource, relative.then_some(scope))?;
        let action = action.name();
        Some(Permission { action, resource })
    });
    Ok(Json(named.collect()))
}

/// The project of a scope such as `/project/1` or `/project/1/repository`.
fn project_of(scope: &str) -> Option<ProjectId> {
    let rest = scope.strip_prefix("/project/")?;
    rest.split('/').next()?.parse().ok()
}

/// The scope of the installation, whose resources have no paths.
const SYSTEM: &str = "/system";

/// What the caller may do on the installation: everything as a system administrator, its permissions as a robot.
fn on_system(caller: &Caller) -> Vec<Permission> {
    let held = |resource: SystemResource| match &caller.authority.own {
        Some(robot) => robot.permissions.of_system(resource),
        None if caller.is_sysadmin() => resource.grantable(),
        None => Actions::NONE,
    };
    let pairs = SystemResource::ALL.iter().flat_map(|resource| {
        let permission = |action: Action| Permission {
            action: action.name(),
            resource: resource.name().to_owned(),
        };
        held(*resource).iter().map(permission).collect::<Vec<_>>()
    });
    pairs.collect()
}

/// All pairs that some role or the robot has, and this caller may use.
fn held(caller: &Caller, standing: &Standing) -> impl Iterator<Item = (Resource, Action)> {
    let is_robot = caller.authority.own.is_some();
    Resource::ALL.iter().flat_map(move |resource| {
        let some = match is_robot {
            true => Actions::ALL,
            false => table::allowed(Role::ProjectAdmin, *resource),
        };
        let own = standing.allowed(caller, *resource);
        let held = some.iter().filter(move |action| own.contains(*action));
        held.map(|action| (*resource, action))
    })
}

/// The resource's path, relative to `scope` if given; `None` if it is not below that.
fn name(id: ProjectId, resource: Resource, scope: Option<&str>) -> Option<String> {
    let path = match resource {
        Resource::Project => format!("/project/{id}"),
        other => format!("/project/{id}/{}", other.name()),
    };
    let Some(scope) = scope else {
        return Some(path);
    };
    match path.strip_prefix(scope.trim_end_matches('/'))? {
        "" => Some(".".to_owned()),
        below => below.strip_prefix('/').map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_absolute_or_below_the_scope() {
        let id = ProjectId(1);
        let named = |resource, scope| name(id, resource, scope);
        assert_eq!(
            named(Resource::Tag, None).as_deref(),
            Some("/project/1/tag")
        );
        assert_eq!(
            named(Resource::Project, Some("/project/1")).as_deref(),
            Some(".")
        );
        assert_eq!(
            named(Resource::Tag, Some("/project/1")).as_deref(),
            Some("tag")
        );
        assert_eq!(
            named(Resource::Repository, Some("/project/1/repository")).as_deref(),
            Some(".")
        );
        assert_eq!(named(Resource::Tag, Some("/project/1/repository")), None);
    }
}
