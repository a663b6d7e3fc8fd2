//! All groups, and the search that adding members needs.

use axum::extract::State;
use axum::response::Response;
use db::group::{self, Group};
use db::list::{Selection, Test};
use model::{Dn, GroupId};
use policy::{SignedIn, SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::group::View;
use crate::listing::Listing;
use crate::param::{Named, Required};
use crate::{App, Error};

/// Lists all groups.
#[utoipa::path(
    get, path = "/api/v2.0/usergroups", operation_id = "listUserGroups", tag = "usergroup",
    params(
        ("group_name" = Option<String>, Query, description = "Part of the name."),
        ("ldap_group_dn" = Option<String>, Query, description = "The entry in the directory."),
    ),
    responses((status = 200, description = "A page of groups.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(_): Granted<SystemPermit<(system::Group, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = select(&mut listing)?;
    let (groups, total) = group::list(&mut app.db.reader().await?, &selection).await?;
    let views: Vec<View> = groups.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

fn select(listing: &mut Listing) -> Result<Selection, Error> {
    let selection = listing.select(&[group::NAME, group::LDAP_DN])?;
    let name = listing.params.text("group_name")?.map(str::to_owned);
    let entry = listing.params.get("ldap_group_dn").map(|text| {
        let entry = text.parse::<Dn>();
        entry.map_or_else(|_| text.to_owned(), |entry| entry.key().to_owned())
    });
    Ok(selection
        .or(group::NAME, name.map(Test::Contains))
        .or(group::LDAP_DN, entry.map(Test::Is)))
}

/// A group in the search for signed-in callers.
#[derive(Serialize, ToSchema)]
#[schema(as = UserGroupSearchItem)]
pub(crate) struct Found {
    group_name: String,
    group_type: i64,
    #[schema(value_type = i64)]
    id: GroupId,
}

impl From<Group> for Found {
    fn from(group: Group) -> Self {
        Self {
            group_name: group.name,
            group_type: group.source.id(),
            id: group.id,
        }
    }
}

/// `groupname`, in a search.
pub(crate) enum GroupName {}

impl Named for GroupName {
    const NAME: &'static str = "groupname";
    const DESCRIPTION: &'static str = "Part of the name.";
}

/// Finds groups by a part of their name, shortest names first.
#[utoipa::path(
    get, path = "/api/v2.0/usergroups/search", operation_id = "searchUserGroups", tag = "usergroup",
    responses((status = 200, description = "A page of names.", body = Vec<Found>))
)]
pub(crate) async fn search(
    listing: Listing,
    part: Required<GroupName>,
    Granted(_): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let mut reader = app.db.reader().await?;
    let (groups, total) = group::search(&mut reader, &part.text, listing.rows()).await?;
    let found: Vec<Found> = groups.into_iter().map(Found::from).collect();
    Ok(listing.answer(&found, total))
}
