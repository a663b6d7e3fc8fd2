//! Local accounts.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod password;
pub(crate) mod permission;
pub(crate) mod sysadmin;
pub(crate) mod update;

use db::Db;
use db::account::{self, Account};
use model::AccountId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;

/// An account in the API.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    admin_role_in_auth: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    realname: String,
    sysadmin_flag: bool,
    update_time: String,
    #[schema(value_type = i64)]
    user_id: AccountId,
    username: String,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            admin_role_in_auth: false,
            comment: account.comment,
            creation_time: account.created_at.to_string(),
            email: account.email.filter(|email| !email.is_empty()),
            realname: account.realname,
            sysadmin_flag: account.sysadmin,
            update_time: account.updated_at.to_string(),
            user_id: account.id,
            username: account.name,
        }
    }
}

/// The account with an id.
async fn find(db: &Db, id: AccountId) -> Result<Account, Error> {
    let account = account::by_id(&mut db.reader().await?, id).await?;
    account.ok_or_else(|| Error::NotFound(format!("user {id} not found")))
}
