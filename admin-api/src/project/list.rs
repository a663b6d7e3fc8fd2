//! The projects that a caller may see.

use axum::extract::State;
use axum::response::Response;
use db::Reader;
use db::list::{Selection, Test};
use db::project::{self, Project, Viewer};
use model::ProjectId;
use policy::Caller;

use crate::caller::By;
use crate::listing::Listing;
use crate::project::View;
use crate::{App, Error};

/// `GET /projects`: public projects for everyone, one's own, and all for system administrators.
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let selection = select(&mut listing)?;
    let mut reader = app.db.reader().await?;
    let (projects, total) = project::list(&mut reader, viewer(&caller), &selection).await?;
    let views = match listing.params.flag("with_detail") {
        Some(false) => brief(&caller, &projects),
        _ => detailed(&mut reader, &caller, &projects).await?,
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

fn viewer(caller: &Caller) -> Viewer {
    match caller.account() {
        None => Viewer::Anonymous,
        Some(_) if caller.bindings.sysadmin => Viewer::Administrator,
        Some(account) => Viewer::Account(account),
    }
}

fn brief(caller: &Caller, projects: &[Project]) -> Vec<View> {
    let render = |project| View::brief(caller, project);
    projects.iter().map(render).collect()
}

async fn detailed(
    reader: &mut Reader,
    caller: &Caller,
    projects: &[Project],
) -> Result<Vec<View>, db::Error> {
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let mut settings = project::metadata_of(reader, &ids).await?;
    let render = |project: &Project| {
        let settings = settings.remove(&project.id).unwrap_or_default();
        View::detailed(caller, project, settings)
    };
    Ok(projects.iter().map(render).collect())
}
