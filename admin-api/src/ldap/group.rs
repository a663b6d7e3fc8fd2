//! Groups of the directory.

use auth::ldap::FoundGroup;
use axum::Json;
use axum::extract::State;
use model::{Dn, GroupSource};
use policy::{SystemPermit, system, to};
use serde::Serialize;
use tenancy::directory::Group;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::param::Params;
use crate::{AdminState, App, Error};

/// A group of the directory, which need not exist here.
#[derive(Serialize, ToSchema)]
pub(crate) struct LdapGroup {
    group_name: String,
    /// 1, for LDAP.
    group_type: i64,
    ldap_group_dn: String,
}

impl From<FoundGroup> for LdapGroup {
    fn from(group: FoundGroup) -> Self {
        Self {
            group_name: group.name,
            group_type: GroupSource::Ldap.id(),
            ldap_group_dn: group.entry.to_string(),
        }
    }
}

/// Finds groups of the directory by exact name or by entry.
#[utoipa::path(
    get, path = "/api/v2.0/ldap/groups/search", operation_id = "searchLdapGroup", tag = "ldap",
    params(
        ("groupname" = Option<String>, Query, description = "The name; all groups without it and `groupdn`."),
        ("groupdn" = Option<String>, Query, description = "The entry."),
    ),
    responses(
        (status = 200, description = "The groups.", body = Vec<LdapGroup>),
        (status = 404, description = "There is none."),
        (status = 412, description = "No directory is configured."),
    )
)]
pub(crate) async fn search(
    params: Params,
    Granted(_): Granted<SystemPermit<(system::LdapUser, to::List)>>,
    State(app): App,
) -> Rendered<Vec<LdapGroup>> {
    let server = app.identity.directory().server().await?;
    let found: Vec<FoundGroup> = match params.get("groupdn") {
        Some(dn) => {
            let entry: Dn = dn
                .parse()
                .map_err(|why| Error::BadRequest(format!("groupdn: {why}")))?;
            server.group_at(&entry).await?.into_iter().collect()
        }
        None => server.search_groups(params.text("groupname")?).await?,
    };
    if found.is_empty() {
        return Err(Error::NotFound("no such group in the directory".to_owned()));
    }
    Ok(Json(found.into_iter().map(LdapGroup::from).collect()))
}

/// The group of an entry; `None` if the directory has none, or there is no directory.
pub(crate) async fn at(app: &AdminState, entry: &Dn) -> Result<Option<Group>, Error> {
    let Some(server) = app.identity.directory().server_if_any().await? else {
        return Ok(None);
    };
    Ok(server.group_at(entry).await?.map(Group::from))
}

/// The only group with a name.
///
/// # Errors
/// [`Error::BadRequest`] if there are several.
pub(crate) async fn named(app: &AdminState, name: &str) -> Result<Option<Group>, Error> {
    let Some(server) = app.identity.directory().server_if_any().await? else {
        return Ok(None);
    };
    let mut found = server.search_groups(Some(name)).await?;
    if found.len() > 1 {
        return Err(Error::BadRequest(format!(
            "several groups of the directory are called {name}: name one by ldap_group_dn"
        )));
    }
    Ok(found.pop().map(Group::from))
}
