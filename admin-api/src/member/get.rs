//! A single member, and the list of members.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::list::{Selection, Test};
use db::member;
use policy::{Action, Resource};

use crate::caller::By;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::member::{View, find};
use crate::param::{MemberRef, ProjectRef};
use crate::project::permitted;
use crate::{App, Error};

/// `GET …/members/{mid}`
pub(crate) async fn get(
    State(app): App,
    named: ProjectRef,
    MemberRef(id): MemberRef,
    By(caller): By,
) -> Rendered<View> {
    let (permit, _) = permitted(&app.db, &caller, &named, Resource::Member, Action::Read).await?;
    let member = find(&mut app.db.reader().await?, permit.project().id, id).await?;
    Ok(Json(member.into()))
}

/// `GET …/members`: sorted by name; `entityname` matches exactly.
pub(crate) async fn list(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
    listing: Listing,
) -> Result<Response, Error> {
    let (permit, _) = permitted(&app.db, &caller, &named, Resource::Member, Action::List).await?;
    let name = listing.params.text("entityname")?.map(str::to_owned);
    let selection = Selection {
        page: listing.rows(),
        ..Selection::all().or(member::NAME, name.map(Test::Is))
    };
    let project = permit.project().id;
    let mut tx = app.db.reader().await?;
    let (members, total) = member::list(&mut tx, project, &selection).await?;
    let views: Vec<View> = members.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}
