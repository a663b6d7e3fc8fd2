//! The projects that a caller may see.

use axum::extract::State;
use axum::response::Response;
use db::Tx;
use db::project::{self, Filter, Order, Project, Viewer};
use model::{AccountId, ProjectId};
use policy::Caller;

use crate::caller::By;
use crate::listing::Listing;
use crate::project::View;
use crate::{App, Error};

/// What a list can be sorted by.
const ORDERS: &[(&str, Order, Order)] = &[
    ("name", Order::Name, Order::NameDescending),
    ("creation_time", Order::Created, Order::CreatedDescending),
    ("update_time", Order::Updated, Order::UpdatedDescending),
    ("project_id", Order::Id, Order::IdDescending),
];

/// `GET /projects`: public ones for everyone, one's own, and all for sysadmins.
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let filter = filter(&caller, &mut listing)?;
    let order = listing.query.order(ORDERS);
    let mut tx = app.db.reader().await?;
    let (projects, total) = project::list(&mut tx, &filter, order, listing.rows()).await?;
    let views = match listing.params.flag("with_detail") {
        Some(false) => brief(&caller, &projects),
        _ => detailed(&mut tx, &caller, &projects).await?,
    };
    Ok(listing.answer(&views, total))
}

/// Parameters `name`, `owner` and `public` do what the same fields of `q` do, which take precedence.
fn filter(caller: &Caller, listing: &mut Listing) -> Result<Filter, Error> {
    let name = listing.query.text("name")?;
    let public = listing.query.flag("public")?;
    let given_name = listing.params.text("name")?.map(str::to_owned);
    Ok(Filter {
        id: None,
        visible_to: viewer(caller),
        name_contains: name.contains.or(given_name),
        name: name.is,
        names: name.any_of,
        owner: listing.params.text("owner")?.map(str::to_owned),
        public: public.or_else(|| listing.params.flag("public")),
        owner_id: listing.query.int("owner_id")?.map(AccountId),
        created_within: listing.query.time("creation_time")?,
        updated_within: listing.query.time("update_time")?,
    })
}

/// For whom a list is narrowed; `None` for those who see everything.
fn viewer(caller: &Caller) -> Option<Viewer> {
    match caller.account() {
        None => Some(Viewer::Anonymous),
        Some(_) if caller.bindings.sysadmin => None,
        Some(account) => Some(Viewer::Account(account)),
    }
}

fn brief(caller: &Caller, projects: &[Project]) -> Vec<View> {
    let render = |project| View::brief(caller, project);
    projects.iter().map(render).collect()
}

async fn detailed(
    tx: &mut Tx,
    caller: &Caller,
    projects: &[Project],
) -> Result<Vec<View>, db::Error> {
    let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    let mut settings = project::metadata_of(tx, &ids).await?;
    let render = |project: &Project| {
        let settings = settings.remove(&project.id).unwrap_or_default();
        View::detailed(caller, project, settings)
    };
    Ok(projects.iter().map(render).collect())
}
