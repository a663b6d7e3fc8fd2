//! Local accounts.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod password;
pub(crate) mod permission;
pub(crate) mod profile;
pub(crate) mod sysadmin;
pub(crate) mod update;

use db::account::{self, Account};
use db::{Db, Reader, Tx};
use model::{AccountId, Timestamp};
use policy::Caller;
use serde::Serialize;

use crate::Error;
use crate::audit::{self, Change};

/// An account in the API.
#[derive(Serialize)]
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

/// The account of an ID, for reading.
async fn find(db: &Db, id: AccountId) -> Result<Account, Error> {
    find_in(&mut db.reader().await?, id).await
}

/// The account of an ID, within a transaction that changes it.
async fn find_in(reader: &mut Reader, id: AccountId) -> Result<Account, Error> {
    let account = account::by_id(reader, id).await?;
    account.ok_or_else(|| not_found(id))
}

fn not_found(id: AccountId) -> Error {
    Error::NotFound(format!("user {id} not found"))
}

/// Refuses to demote or delete the last system administrator.
async fn keep_a_sysadmin(tx: &mut Tx, id: AccountId) -> Result<(), Error> {
    if account::is_last_sysadmin(tx, id).await? {
        return Err(Error::Precondition(format!(
            "user {id} is the last system administrator: make another user one first"
        )));
    }
    Ok(())
}

/// Refuses a mail address that another account has. Only for callers who may list all accounts: others would learn
/// which addresses have accounts.
async fn refuse_taken_email(
    tx: &mut Tx,
    (name, email): (&str, &str),
    id: Option<AccountId>,
) -> Result<(), Error> {
    if account::is_email_taken(tx, email, id).await? {
        return Err(taken(name, email));
    }
    Ok(())
}

/// The error for a name or a mail address that another account has.
fn taken(name: &str, email: &str) -> Error {
    Error::Conflict(format!("user {name} or email {email} already exists"))
}

/// Records a change of an account.
async fn note(
    tx: &mut Tx,
    caller: &Caller,
    operation: &'static str,
    name: &str,
    detail: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let change = Change {
        operation,
        resource_type: "user",
        resource: name.to_owned(),
        project: None,
        detail: detail.to_owned(),
    };
    Ok(audit::note(tx, caller, change, now).await?)
}
