//! What a tag pointed at, and pointing it there again.

use axum::extract::State;
use axum::response::Response;
use db::list::{Direction, Field};
use db::repository;
use db::tag::history::{self, Pointed};
use model::Digest;
use policy::{Action, ProjectPermit, Resource, Roles, on, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::json::{BodyOf, Unread};
use crate::listing::Listing;
use crate::param::content::TagRef;
use crate::param::{ProjectByName, RepositoryRef};
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (history::SET, Direction::Down);

/// A digest at which a tag pointed from some time on.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagHistory {
    /// Whether the tag can be pointed there again.
    available: bool,
    digest: String,
    time: String,
    /// Who set it; absent if it was set on the machine itself, and for callers without a role in the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

impl TagHistory {
    fn new(pointed: Pointed, shows_names: bool) -> Self {
        Self {
            available: pointed.is_there,
            digest: pointed.digest.to_string(),
            time: pointed.at.to_string(),
            username: pointed.by_name.filter(|_| shows_names),
        }
    }
}

/// Names of people who work in a project are shown to its members, not to everybody who may see a public project.
fn shows_names(permit: &ProjectPermit<on::Tag, to::List>) -> bool {
    let (standing, caller) = (permit.standing(), permit.caller());
    let log = standing.allowed(caller, Resource::Log);
    standing.roles != Roles::NONE || log.contains(Action::List)
}

/// Lists what a tag pointed at, newest first by default. A deleted tag has a history too.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/history",
    operation_id = "listTagHistory", tag = "tag",
    responses((status = 200, description = "A page of digests.", body = Vec<TagHistory>))
)]
pub(crate) async fn list(
    named: RepositoryRef,
    tag: TagRef,
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Tag, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let (name, tag) = (named.name()?, tag.tag()?);
    let mut selection = listing.select(&history::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let id = repository::published_in(&mut reader, permit.project().id, &name).await?;
    let id = id.ok_or_else(|| named.missing())?;
    let (pointed, total) = history::list(&mut reader, id, &tag, &selection).await?;
    let shows_names = shows_names(&permit);
    let view = |pointed| TagHistory::new(pointed, shows_names);
    let views: Vec<TagHistory> = pointed.into_iter().map(view).collect();
    Ok(listing.answer(&views, total))
}

/// The body of `POST …/restore`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct RestoreTag {
    /// A digest of the tag's history.
    digest: Option<String>,
}

impl BodyOf for RestoreTag {
    const NAME: &'static str = "restore";
}

/// Points a tag at a digest of its history, as a push would: 404 if it never pointed there, 410 if the artifact was deleted
/// since.
#[utoipa::path(
    post, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/restore",
    operation_id = "restoreTag", tag = "tag", request_body = RestoreTag,
    responses(
        (status = 200, description = "Restored."),
        (status = 410, description = "The artifact was deleted since."),
    )
)]
pub(crate) async fn restore(
    named: RepositoryRef,
    tag: TagRef,
    Allowed { permit, .. }: Allowed<on::Repository, to::Push, ProjectByName>,
    State(app): App,
    body: Unread<RestoreTag>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let (name, tag) = (named.name()?, tag.tag()?);
    let given = body.digest.unwrap_or_default();
    let digest: Digest = given
        .parse()
        .map_err(|error| Error::BadRequest(format!("digest {given:?}: {error}")))?;
    let restored = app.registry.restore_tag(&permit, &name, (&tag, digest));
    Ok(restored.await?)
}
