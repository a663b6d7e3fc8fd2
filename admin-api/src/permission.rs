//! Permissions that robots can have, for callers who may make robots.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use db::binding;
use http::request::Parts;
use policy::{Resource, Role, SystemResource, permit, table};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::By;
use crate::declaration::{Needs, Permission};
use crate::input::Input;
use crate::{AdminState, Error};

/// An action on a resource.
#[derive(Serialize, ToSchema)]
#[schema(as = Permission)]
pub(crate) struct Pair {
    action: &'static str,
    resource: &'static str,
}

/// Permissions that robots can have: on resources of the system, and of a project.
#[derive(Serialize, ToSchema)]
pub(crate) struct Permissions {
    project: Vec<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Vec<Pair>>,
}

/// A caller who may make robots: of some project, or all.
pub(crate) enum Maker {
    ProjectAdmin,
    Sysadmin,
}

impl Input for Maker {}

impl Permission for Maker {
    const NEEDS: Needs = Needs::AnyProjectAdmin;
}

impl FromRequestParts<Arc<AdminState>> for Maker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let By(caller) = By::from_request_parts(parts, app).await?;
        let principal = permit::permit_signed_in(&caller)?.principal();
        if caller.is_sysadmin() {
            return Ok(Self::Sysadmin);
        }
        let mut reader = app.db.reader().await?;
        if binding::has_role(&mut reader, principal, Role::ProjectAdmin).await? {
            return Ok(Self::ProjectAdmin);
        }
        Err(Error::Forbidden(
            "forbidden: this needs the rights of a project admin or system administrator"
                .to_owned(),
        ))
    }
}

/// Lists the permissions that the caller may give a robot: all for system administrators, those of projects for project
/// admins.
#[utoipa::path(
    get, path = "/api/v2.0/permissions", operation_id = "getPermissions", tag = "permissions",
    responses((status = 200, description = "Resources and actions.", body = Permissions))
)]
pub(crate) async fn list(maker: Maker) -> Json<Permissions> {
    Json(match maker {
        Maker::Sysadmin => Permissions {
            project: of_project(|_| true),
            system: Some(of_system()),
        },
        Maker::ProjectAdmin => Permissions {
            project: of_project(|(resource, action)| {
                table::allowed(Role::ProjectAdmin, resource).contains(action)
            }),
            system: None,
        },
    })
}

fn of_project(is_held: impl Fn((Resource, policy::Action)) -> bool) -> Vec<Pair> {
    let pairs = Resource::ALL.iter().flat_map(|resource| {
        let actions = resource.grantable();
        actions
            .iter()
            .map(|action| (*resource, action))
            .collect::<Vec<_>>()
    });
    let held = pairs.filter(|pair| is_held(*pair));
    let pair = |(resource, action): (Resource, policy::Action)| Pair {
        action: action.name(),
        resource: resource.name(),
    };
    held.map(pair).collect()
}

fn of_system() -> Vec<Pair> {
    let pairs = SystemResource::ALL.iter().flat_map(|resource| {
        let pair = |action: policy::Action| Pair {
            action: action.name(),
            resource: resource.name(),
        };
        resource.grantable().iter().map(pair).collect::<Vec<_>>()
    });
    pairs.collect()
}
