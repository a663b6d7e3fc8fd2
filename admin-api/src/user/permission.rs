//! What the caller may do in a project, for user interfaces.

use axum::Json;
use axum::extract::State;
use db::project;
use model::ProjectId;
use policy::{Action, Caller, ProjectFacts, Resource, Role, permit, table};
use serde::Serialize;

use crate::App;
use crate::caller::{By, permit_signed_in};
use crate::error::Rendered;
use crate::param::Params;

/// A permission of the caller.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Permission {
    action: &'static str,
    resource: String,
}

const ACTIONS: [Action; 9] = [
    Action::Create,
    Action::Read,
    Action::Update,
    Action::Delete,
    Action::List,
    Action::Operate,
    Action::Stop,
    Action::Pull,
    Action::Push,
];

/// `GET /users/current/permissions`: the caller's permissions in the project `scope`; `[]` for any other scope.
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    params: Params,
) -> Rendered<Vec<Permission>> {
    permit_signed_in(&caller)?;
    let scope = params.get("scope").unwrap_or_default();
    let relative = params.flag("relative").unwrap_or(false);
    let Some(id) = project_of(scope) else {
        return Ok(Json(Vec::new()));
    };
    let found = project::by_id(&mut app.db.reader().await?, id).await?;
    let held = found.map(|project| held(&caller, &project.facts()));
    let named = held.into_iter().flatten().filter_map(|(resource, action)| {
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

/// All pairs that some role has and this caller may use.
fn held(caller: &Caller, project: &ProjectFacts) -> Vec<(Resource, Action)> {
    let pairs = Resource::ALL
        .iter()
        .flat_map(|resource| ACTIONS.map(|action| (*resource, action)));
    pairs
        .filter(|(resource, action)| table::allows(Role::ProjectAdmin, *resource, *action))
        .filter(|(resource, action)| {
            permit::permit_project(caller, Some(project), *resource, *action).is_ok()
        })
        .collect()
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
