//! A single member, and the list of members.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use db::list::{Selection, Test};
use db::member;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::listing::Listing;
use crate::member::{View, find};
use crate::param::MemberRef;
use crate::{App, Error};

/// Returns a member.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/members/{mid}", operation_id = "getProjectMember", tag = "member",
    responses((status = 200, description = "The member.", body = View))
)]
pub(crate) async fn get(
    MemberRef(id): MemberRef,
    Allowed { permit, .. }: Allowed<on::Member, to::Read>,
    State(app): App,
) -> Rendered<View> {
    let member = find(&mut app.db.reader().await?, permit.project().id, id).await?;
    View::try_from(member).map(Json)
}

/// Lists a project's members.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/members", operation_id = "listProjectMembers", tag = "member",
    params(("entityname" = Option<String>, Query, description = "The exact name.")),
    responses((status = 200, description = "A page of members.", body = Vec<View>))
)]
pub(crate) async fn list(
    listing: Listing,
    Allowed { permit, .. }: Allowed<on::Member, to::List>,
    State(app): App,
) -> Result<Response, Error> {
    let name = listing.params.text("entityname")?.map(str::to_owned);
    let selection = Selection {
        page: listing.rows(),
        ..Selection::all().or(member::NAME, name.map(Test::Is))
    };
    let project = permit.project().id;
    let mut tx = app.db.reader().await?;
    let (members, total) = member::list(&mut tx, project, &selection).await?;
    let views = members.into_iter().map(View::try_from);
    let views: Vec<View> = views.collect::<Result<_, _>>()?;
    Ok(listing.answer(&views, total))
}
