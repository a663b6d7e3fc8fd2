//! Where the caller has rights, and which.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use db::binding::{self, Held};
use db::project::{self, Project};
use model::ProjectId;
use policy::{Caller, Resource, Role, SignedIn, Standing};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::listing::Listing;
use crate::project::list::{own, viewer};
use crate::{App, Error};

/// What the caller may do in a project.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnAccess)]
pub(crate) struct View {
    /// `RESOURCE:ACTION` for each that is allowed.
    permissions: Vec<String>,
    #[schema(value_type = i64)]
    project_id: ProjectId,
    project_name: String,
    public: bool,
    roles: Vec<HeldRole>,
}

/// A role, and where it comes from.
#[derive(Serialize, ToSchema)]
struct HeldRole {
    /// The group that gives it; absent for a role of the caller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    role: &'static str,
}

impl From<Held> for HeldRole {
    fn from(held: Held) -> Self {
        Self {
            group: held.group,
            role: held.role.name(),
        }
    }
}

impl View {
    fn new(caller: &Caller, project: &Project, held: Vec<Held>) -> Self {
        let standing = Standing {
            project: Arc::new(project.facts()),
            roles: held.iter().map(|held| held.role).collect(),
        };
        Self {
            permissions: permissions(caller, &standing),
            project_id: project.id,
            project_name: project.name.to_string(),
            public: project.public,
            roles: held.into_iter().map(HeldRole::from).collect(),
        }
    }
}

/// A caller's permissions, among those that exist in projects.
pub(crate) fn permissions(caller: &Caller, standing: &Standing) -> Vec<String> {
    let pairs = Resource::ALL.iter().flat_map(|resource| {
        let known = policy::table::allowed(Role::ProjectAdmin, *resource) | resource.grantable();
        let own = standing.allowed(caller, *resource);
        let held: Vec<_> = known
            .iter()
            .filter(|action| own.contains(*action))
            .collect();
        held.into_iter()
            .map(|action| format!("{}:{}", resource.name(), action.name()))
    });
    pairs.collect()
}

/// Lists the projects in which the caller has a role or permissions, with what it may do there. A system administrator,
/// who may do everything, sees all projects.
#[utoipa::path(
    get, path = "/api/ext/v1/me/access", operation_id = "listOwnAccess", tag = "me",
    responses((status = 200, description = "A page of projects.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = listing.select(&project::FIELDS)?;
    let caller = permit.caller();
    let mut reader = app.db.reader().await?;
    let (projects, total) = project::list(&mut reader, own(viewer(caller)), &selection).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let mut held = match caller.authority.own {
        Some(_) => HashMap::new(),
        None => binding::held_among(&mut reader, permit.principal(), &ids).await?,
    };
    let view = |project: &Project| {
        let held = held.remove(&project.id).unwrap_or_default();
        View::new(caller, project, held)
    };
    let views: Vec<View> = projects.iter().map(view).collect();
    Ok(listing.answer(&views, total))
}
