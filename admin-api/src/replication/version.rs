//! Versions of tags, for other Gantries that copy from here and to here: which installation this is, what its tags are, and
//! what they are to be. Only who may see replication asks, and only who may start it says the latter.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use db::tag::version;
use model::replication::TagState;
use model::{Digest, InstallationId, Timestamp};
use policy::on::On;
use policy::to::To;
use policy::{Caller, ProjectPermit, SystemPermit, on, system, to};
use registry::tag::version::{AHEAD, Accepted, ahead};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::allowed::{self, Granted};
use crate::error::Rendered;
use crate::json::{BodyOf, Unread};
use crate::param::content::TagRef;
use crate::param::{Params, ProjectByName, ProjectRef, RepositoryRef};
use crate::{AdminState, App, Error};

/// States of a page.
const PAGE: i64 = 1_000;

/// This installation, as it is told to others that copy to it or from it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplicationSite {
    /// Its ID.
    origin: String,
    /// Its time, in microseconds since 1970.
    time: i64,
    /// IDs of the installations to which policies here, and what they lead to, push the repository on, with the number of
    /// copies on the way.
    reaches: BTreeMap<String, u32>,
    /// IDs of the installations from which policies here pull it.
    pulls_from: Vec<String>,
}

/// What a tag is, and since when.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagVersion {
    name: String,
    /// What it names; absent where it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// When that happened, in microseconds since 1970 by the clock of the origin.
    time: i64,
    /// ID of the installation where it happened.
    origin: String,
}

impl TagVersion {
    fn new(name: String, state: &TagState) -> Self {
        Self {
            name,
            digest: state.digest.map(|digest| digest.to_string()),
            time: state.at.0,
            origin: state.origin.to_string(),
        }
    }
}

/// What came of a version.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagVersionOutcome {
    /// `taken`, `same` where the tag was that already, or `kept` where it is something later.
    outcome: &'static str,
    /// What it still is.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<TagVersion>,
}

/// A version of a tag.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct NewTagVersion {
    /// What it names, a manifest of the repository.
    digest: Option<String>,
    /// When that happened, in microseconds since 1970.
    time: Option<i64>,
    /// ID of the installation where it happened.
    origin: Option<String>,
}

impl BodyOf for NewTagVersion {
    const NAME: &'static str = "version";
}

impl NewTagVersion {
    fn version(&self, now: Timestamp) -> Result<(Timestamp, InstallationId), Error> {
        let at = self.time.filter(|at| *at > 0).map(Timestamp);
        let at = at
            .ok_or_else(|| Error::BadRequest("time: must be microseconds since 1970".to_owned()))?;
        if let Some(ahead) = ahead(at, now) {
            return Err(Error::BadRequest(format!(
                "time: is {ahead} s ahead of the clock here, more than {} s: set the clocks right",
                AHEAD.as_secs()
            )));
        }
        let origin = self.origin.as_deref().unwrap_or_default();
        let origin: InstallationId = origin
            .parse()
            .map_err(|error| Error::BadRequest(format!("origin: {error}")))?;
        Ok((at, origin))
    }
}

/// Returns which installation this is, and with which others it exchanges a repository. Other Gantries ask that before they
/// copy, to find out whether what they send comes back to them.
#[utoipa::path(
    get, path = "/api/ext/v1/replication/site", operation_id = "getReplicationSite", tag = "replication",
    params(("repository" = String, Query, description = "The whole name of a repository, which need not exist.")),
    responses((status = 200, description = "This installation.", body = ReplicationSite))
)]
pub(crate) async fn site(
    params: Params,
    _: Granted<SystemPermit<(system::Replication, to::List)>>,
    State(app): App,
) -> Rendered<ReplicationSite> {
    let repository = params.text("repository")?.unwrap_or_default();
    let site = jobs::replication::own_site(&app.db, &*app.clock, repository).await?;
    let pulls_from = site.pulls_from.iter();
    Ok(Json(ReplicationSite {
        origin: site.origin.to_string(),
        time: site.time.0,
        reaches: site.reaches,
        pulls_from: pulls_from.map(ToString::to_string).collect(),
    }))
}

/// Lists what the tags of a repository are and since when, sorted by name. Those that were deleted within 90 days are
/// included. Also needs `tag` list there.
#[utoipa::path(
    get, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tag-versions",
    operation_id = "listTagVersions", tag = "replication",
    params(("after" = Option<String>, Query, description = "The name after which the list goes on.")),
    responses((status = 200, description = "Up to 1,000 tags; none after the last one.", body = Vec<TagVersion>))
)]
pub(crate) async fn list(
    ProjectByName(project): ProjectByName,
    named: RepositoryRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::List)>>,
    params: Params,
    State(app): App,
) -> Rendered<Vec<TagVersion>> {
    in_project::<on::Tag, to::List>(&app, permit.caller(), &project).await?;
    let name = named.name()?;
    let after = params.text("after")?.unwrap_or_default();
    let mut reader = app.db.reader().await?;
    let (states, _) = version::list(&mut reader, &name, after, PAGE).await?;
    let states = states.iter();
    Ok(Json(
        states
            .map(|(tag, state)| TagVersion::new(tag.to_string(), state))
            .collect(),
    ))
}

/// Points a tag at a manifest as it was pointed at another installation, unless what it is here is later. Also needs
/// `repository` push there.
#[utoipa::path(
    put, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/version",
    operation_id = "setTagVersion", tag = "replication", request_body = NewTagVersion,
    responses((status = 200, description = "What came of it.", body = TagVersionOutcome))
)]
pub(crate) async fn set(
    ProjectByName(project): ProjectByName,
    named: RepositoryRef,
    tag: TagRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
    body: Unread<NewTagVersion>,
) -> Rendered<TagVersionOutcome> {
    in_project::<on::Repository, to::Push>(&app, permit.caller(), &project).await?;
    let (permit, body) = body.read(&app, permit).await?;
    let permit = in_project(&app, permit.caller(), &project).await?;
    let (name, tag) = (named.name()?, tag.tag()?);
    let version = body.version(app.clock.now())?;
    let given = body.digest.unwrap_or_default();
    let digest: Digest = given
        .parse()
        .map_err(|error| Error::BadRequest(format!("digest {given:?}: {error}")))?;
    let accepted = app
        .registry
        .accept_tag(&permit, &name, (&tag, digest), version);
    Ok(outcome(tag.to_string(), accepted.await?))
}

/// Deletes a tag as it was deleted at another installation, unless what it is here is later. Also needs `tag` delete there.
#[utoipa::path(
    put, path = "/api/ext/v1/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}/deletion",
    operation_id = "setTagDeletion", tag = "replication", request_body = NewTagVersion,
    responses((status = 200, description = "What came of it.", body = TagVersionOutcome))
)]
pub(crate) async fn delete(
    ProjectByName(project): ProjectByName,
    named: RepositoryRef,
    tag: TagRef,
    Granted(permit): Granted<SystemPermit<(system::Replication, to::Create)>>,
    State(app): App,
    body: Unread<NewTagVersion>,
) -> Rendered<TagVersionOutcome> {
    in_project::<on::Tag, to::Delete>(&app, permit.caller(), &project).await?;
    let (permit, body) = body.read(&app, permit).await?;
    let permit = in_project(&app, permit.caller(), &project).await?;
    let (name, tag) = (named.name()?, tag.tag()?);
    let version = body.version(app.clock.now())?;
    let accepted = app.registry.accept_deletion(&permit, &name, &tag, version);
    Ok(outcome(tag.to_string(), accepted.await?))
}

/// A version decides over changes of others: it is taken only from who may start replication, and may do this in the project.
async fn in_project<R: On, A: To>(
    app: &AdminState,
    caller: &Caller,
    project: &ProjectRef,
) -> Result<ProjectPermit<R, A>, Error> {
    let (permit, _) = allowed::permitted(&app.db, caller, project).await?;
    Ok(permit)
}

fn outcome(name: String, accepted: Accepted) -> Json<TagVersionOutcome> {
    let (outcome, state) = match accepted {
        Accepted::Taken(_) => ("taken", None),
        Accepted::Same => ("same", None),
        Accepted::Kept(state) => ("kept", Some(TagVersion::new(name, &state))),
    };
    Json(TagVersionOutcome { outcome, state })
}
