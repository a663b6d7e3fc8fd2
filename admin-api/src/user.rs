//! Users.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod erase;
pub(crate) mod get;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod password;
pub(crate) mod permission;
pub(crate) mod sysadmin;
pub(crate) mod update;

use db::Db;
use db::user;
use model::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;

/// A user in the API.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    admin_role_in_auth: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// True while the address is not verified, so that links for a new password are not mailed there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    email_unverified: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    realname: String,
    sysadmin_flag: bool,
    /// True until the mail address of a registered account is verified.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unverified: bool,
    update_time: String,
    #[schema(value_type = i64)]
    user_id: UserId,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_user_meta: Option<OidcUserInfo>,
}

/// The stored data of a user of the OIDC provider.
#[derive(Serialize, ToSchema)]
#[schema(as = OIDCUserInfo)]
pub(crate) struct OidcUserInfo {
    #[schema(value_type = i64)]
    id: UserId,
    #[schema(value_type = i64)]
    user_id: UserId,
    /// The subject, and the issuer after it.
    subiss: String,
    /// The CLI secret: the password for docker and helm.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    creation_time: String,
    update_time: String,
}

impl From<user::User> for User {
    fn from(user: user::User) -> Self {
        let has_email = user.email.as_ref().is_some_and(|email| !email.is_empty());
        Self {
            email_unverified: has_email && !user.is_external && !user.is_email_verified(),
            admin_role_in_auth: user.is_external_admin,
            comment: user.comment,
            creation_time: user.created_at.to_string(),
            email: user.email.filter(|email| !email.is_empty()),
            realname: user.realname,
            sysadmin_flag: user.sysadmin,
            unverified: user.unverified,
            update_time: user.updated_at.to_string(),
            user_id: user.id,
            username: user.name,
            oidc_user_meta: None,
        }
    }
}

/// The user with an id.
async fn find(db: &Db, id: UserId) -> Result<user::User, Error> {
    let user = user::by_id(&mut db.reader().await?, id).await?;
    user.ok_or_else(|| Error::NotFound(format!("user {id} not found")))
}
