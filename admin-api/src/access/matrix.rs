//! Who may do what in a project: its members, with everything that their roles allow.

use axum::extract::State;
use axum::response::Response;
use db::member::{self, Entity, Member};
use policy::{Resource, SystemPermit, table};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::listing::Listing;
use crate::{App, Error};

/// What a member may do.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessRow)]
pub(crate) struct Row {
    /// `user` or `group`.
    kind: &'static str,
    name: String,
    /// `RESOURCE:ACTION` for each that the role allows, without what everyone may do in a public project.
    permissions: Vec<String>,
    role: &'static str,
}

impl Row {
    fn new(member: &Member) -> Result<Self, Error> {
        let pairs = Resource::ALL.iter().flat_map(|resource| {
            let allowed = table::allowed(member.role, *resource);
            let actions: Vec<_> = allowed.iter().collect();
            actions
                .into_iter()
                .map(|action| format!("{}:{}", resource.name(), action.name()))
        });
        Ok(Self {
            kind: match member.entity()? {
                Entity::User(_) => "user",
                Entity::Group(_) => "group",
            },
            name: member.name.clone(),
            permissions: pairs.collect(),
            role: member.role.name(),
        })
    }
}

/// Lists the members of a project with everything that their roles allow. A user in a group also has the group's
/// permissions.
#[utoipa::path(
    get, path = "/api/ext/v1/access/matrix", operation_id = "listAccessMatrix", tag = "access",
    params(("project" = String, Query, description = "The project's name.")),
    responses((status = 200, description = "A page of members.", body = Vec<Row>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(_): Granted<SystemPermit>,
    State(app): App,
) -> Result<Response, Error> {
    let project = listing.params.required("project")?.to_owned();
    let selection = listing.select(&[member::NAME])?;
    let mut reader = app.db.reader().await?;
    let project = super::find(&mut reader, &project).await?;
    let (members, total) = member::list(&mut reader, project.id, &selection).await?;
    let rows: Vec<Row> = members.iter().map(Row::new).collect::<Result<_, _>>()?;
    Ok(listing.answer(&rows, total))
}
