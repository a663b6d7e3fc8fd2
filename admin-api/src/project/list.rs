//! The projects that a caller may see.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use db::list::{Selection, Test};
use db::project::{self, Project, Viewer};
use db::{Reader, binding};
use model::ProjectId;
use policy::{Action, Caller, Permissions, Reach, Resource, Roles, SystemResource};

use crate::allowed::Everyone;
use crate::caller::By;
use crate::listing::Listing;
use crate::project::View;
use crate::{App, Error};

/// Lists the projects that the caller may see: public ones and their own; all for system administrators.
#[utoipa::path(
    get, path = "/api/v2.0/projects", operation_id = "listProjects", tag = "project",
    params(
        ("name" = Option<String>, Query, description = "Part of the name."),
        ("member" = Option<bool>, Query, description = "True for projects of which the caller is a member."),
        ("owner" = Option<String>, Query, description = "The owner's name."),
        ("public" = Option<bool>, Query, description = "True for public projects, false for private ones."),
        ("with_detail" = Option<bool>, Query, description = "False for a short form; true by default."),
    ),
    responses((status = 200, description = "A page of projects.", body = Vec<View>))
)]
pub(crate) async fn list(
    _: Everyone,
    By(caller): By,
    mut listing: Listing,
    State(app): App,
) -> Result<Response, Error> {
    let selection = select(&mut listing)?;
    let mut reader = app.db.reader().await?;
    let viewer = match caller
        .id()
        .filter(|_| listing.params.flag("member") == Some(true))
    {
        Some(principal) => Viewer::Member(principal),
        None => viewer(&caller),
    };
    let (projects, total) = project::list(&mut reader, viewer, &selection).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let roles = roles(&mut reader, &caller, &ids).await?;
    let roles = |project: &Project| roles.get(&project.id).copied().unwrap_or_default();
    let views: Vec<View> = if listing.params.flag("with_detail") == Some(false) {
        let brief = |project| View::brief(roles(project), project);
        projects.iter().map(brief).collect()
    } else {
        let mut settings = project::metadata_of(&mut reader, &ids).await?;
        let detailed = |project: &Project| {
            let settings = settings.remove(&project.id).unwrap_or_default();
            View::detailed(roles(project), project, settings)
        };
        projects.iter().map(detailed).collect()
    };
    Ok(listing.answer(&views, total))
}

/// The parameters `name`, `owner` and `public` work like the same fields of `q`, which take precedence.
fn select(listing: &mut Listing) -> Result<Selection, Error> {
    let selection = listing.select(&project::FIELDS)?;
    let name = listing.params.text("name")?.map(str::to_owned);
    let owner = listing.params.text("owner")?.map(str::to_owned);
    Ok(selection
        .or(project::NAME, name.map(Test::Contains))
        .or(project::OWNER_NAME, owner.map(Test::Is))
        .or(
            project::PUBLIC,
            listing.params.flag("public").map(Test::Flag),
        ))
}

/// The viewer of a list of projects. A robot sees those in which it may do anything, or all if it may list them.
pub(crate) fn viewer(caller: &Caller) -> Viewer {
    viewer_by(caller, |permissions| {
        let system = permissions.of_system(SystemResource::Project);
        match system.contains(Action::List) {
            true => Reach::Everywhere,
            false => permissions.reach_at_all(),
        }
    })
}

/// The viewer of a list of repositories. A robot sees those of public projects, and of projects in which it may list
/// them.
pub(crate) fn repository_viewer(caller: &Caller) -> Viewer {
    viewer_by(caller, |permissions| {
        permissions.reach(Resource::Repository, Action::List)
    })
}

/// The same for the caller's own projects, which do not include projects only because they are public.
pub(crate) fn own(viewer: Viewer) -> Viewer {
    match viewer {
        Viewer::Principal(principal) => Viewer::Member(principal),
        Viewer::Robot(projects) => Viewer::Only(projects),
        other => other,
    }
}

fn viewer_by(caller: &Caller, reach: impl Fn(&Permissions) -> Reach) -> Viewer {
    match (caller.id(), &caller.authority.own) {
        (None, _) => Viewer::Anonymous,
        (Some(_), _) if caller.is_sysadmin() => Viewer::Administrator,
        (Some(principal), None) => Viewer::Principal(principal),
        (Some(_), Some(robot)) => match reach(&robot.permissions) {
            Reach::Everywhere => Viewer::Administrator,
            Reach::Projects(projects) => Viewer::Robot(projects),
        },
    }
}

/// The caller's roles in some projects; a robot has none.
pub(crate) async fn roles(
    reader: &mut Reader,
    caller: &Caller,
    ids: &[ProjectId],
) -> Result<HashMap<ProjectId, Roles>, db::Error> {
    match caller.id().filter(|_| caller.authority.own.is_none()) {
        None => Ok(HashMap::new()),
        Some(principal) => binding::roles_in(reader, principal, ids).await,
    }
}
