//! Groups of users.

pub(crate) mod change;
pub(crate) mod get;
pub(crate) mod list;

use db::group::Group;
use model::{GroupId, GroupName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;

/// A group in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = UserGroup)]
pub(crate) struct View {
    group_name: String,
    /// 1 for LDAP, 2 for an authenticating proxy, 3 for OIDC.
    group_type: i64,
    #[schema(value_type = i64)]
    id: GroupId,
    #[serde(skip_serializing_if = "String::is_empty")]
    ldap_group_dn: String,
}

impl From<Group> for View {
    fn from(group: Group) -> Self {
        Self {
            group_name: group.name,
            group_type: group.source.id(),
            id: group.id,
            ldap_group_dn: group.ldap_dn,
        }
    }
}

/// Why a number is not a `group_type`.
pub(crate) const NO_SUCH_TYPE: &str =
    "group_type: must be 1 (LDAP), 2 (authenticating proxy) or 3 (OIDC)";

pub(crate) fn check_name(text: &str) -> Result<GroupName, Error> {
    text.parse()
        .map_err(|invalid: model::group::InvalidGroupName| Error::BadRequest(invalid.to_string()))
}
