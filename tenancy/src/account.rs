//! Local accounts: making, changing and deleting them.

use db::account::{self, Account};
use db::{Db, Reader, Tx};
use model::{AccountId, Event, Operation, Origin, Profile, Subject, Timestamp, UserName};
use policy::{AccountPermit, SystemPermit};

use crate::password::{NewPassword, PasswordHasher};
use crate::{Error, Result};

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name to sign in with.
    pub name: UserName,
    /// Mail address, name and comment.
    pub profile: Profile,
    /// The password to sign in with.
    pub password: NewPassword,
    /// Whether it may do everything.
    pub sysadmin: bool,
}

/// Makes an account.
///
/// # Errors
/// [`Error::UserExists`], [`Error::Password`].
pub async fn create(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &SystemPermit,
    new: NewAccount,
    now: Timestamp,
) -> Result<AccountId> {
    let row = account::NewAccount {
        name: new.name.to_string(),
        email: Some(new.profile.email().to_owned()),
        realname: new.profile.realname().to_owned(),
        comment: new.profile.comment().to_owned(),
        password_hash: Some(hasher.hash(&new.password).await?),
        sysadmin: new.sysadmin,
    };
    let event = event(now, permit.caller().origin(), Operation::Create, &row.name);
    let event = match new.sysadmin {
        true => event.with_detail(sysadmin_flag(true)),
        false => event,
    };
    db.write(move |tx| {
        Box::pin(async move {
            let email = new.profile.email();
            refuse_taken_email(tx, (&row.name, email), None).await?;
            let made = account::create(tx, &row, now).await;
            let id = made.map_err(|error| match error {
                db::Error::Duplicate(_) => taken(&row.name, email),
                other => other.into(),
            })?;
            tx.record(&event).await?;
            Ok(id)
        })
    })
    .await
}

/// Changes mail address, name and comment. Two accounts may have one mail address only where one of them says so itself:
/// refusing it would tell ordinary callers whose addresses are known here, and system administrators may list all.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::UserExists`].
pub async fn update_profile(
    db: &Db,
    permit: &AccountPermit,
    profile: Profile,
    now: Timestamp,
) -> Result<()> {
    let (id, origin) = (permit.account(), permit.caller().origin());
    let may_list_all = permit.caller().bindings.sysadmin;
    db.write(move |tx| {
        Box::pin(async move {
            let name = find(tx, id).await?.name;
            let changed = (profile.email(), profile.realname(), profile.comment());
            if may_list_all {
                refuse_taken_email(tx, (&name, changed.0), Some(id)).await?;
            }
            account::set_profile(tx, id, changed, now).await?;
            let event = event(now, origin, Operation::Update, &name);
            Ok(tx.record(&event.with_detail("profile")).await?)
        })
    })
    .await
}

/// Sets a password; tokens that were issued before are void.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::Password`].
pub async fn set_password(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &AccountPermit,
    password: &NewPassword,
    now: Timestamp,
) -> Result<()> {
    let (id, origin) = (permit.account(), permit.caller().origin());
    let hash = hasher.hash(password).await?;
    db.write(move |tx| {
        Box::pin(async move {
            let name = find(tx, id).await?.name;
            account::set_password(tx, id, &hash, now).await?;
            let event = event(now, origin, Operation::Update, &name);
            Ok(tx.record(&event.with_detail("password")).await?)
        })
    })
    .await
}

/// Gives or takes the right to do everything.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::LastSysadmin`].
pub async fn set_sysadmin(
    db: &Db,
    permit: &SystemPermit,
    id: AccountId,
    sysadmin: bool,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let account = find(tx, id).await?;
            if !sysadmin {
                keep_a_sysadmin(tx, &account).await?;
            }
            account::set_sysadmin(tx, id, sysadmin, now).await?;
            let event = event(now, origin, Operation::Update, &account.name);
            Ok(tx
                .record(&event.with_detail(sysadmin_flag(sysadmin)))
                .await?)
        })
    })
    .await
}

/// Deletes an account: its name becomes free, and its memberships go. Nobody deletes their own account, the built-in
/// administrator, or the last system administrator.
///
/// # Errors
/// [`Error::UserUndeletable`], [`Error::UserUnknown`], [`Error::LastSysadmin`].
pub async fn delete(db: &Db, permit: &SystemPermit, id: AccountId, now: Timestamp) -> Result<()> {
    if id == AccountId::ADMIN || permit.caller().account() == Some(id) {
        return Err(Error::UserUndeletable(id));
    }
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let account = find(tx, id).await?;
            keep_a_sysadmin(tx, &account).await?;
            account::delete(tx, id, now).await?;
            let event = event(now, origin, Operation::Delete, &account.name);
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

async fn find(reader: &mut Reader, id: AccountId) -> Result<Account> {
    account::by_id(reader, id)
        .await?
        .ok_or(Error::UserUnknown(id))
}

/// Refuses to take the rights of a system administrator, or the account, from the last one.
async fn keep_a_sysadmin(tx: &mut Tx, account: &Account) -> Result<()> {
    if account::is_last_sysadmin(tx, account.id).await? {
        return Err(Error::LastSysadmin {
            id: account.id,
            name: account.name.clone(),
        });
    }
    Ok(())
}

/// Refuses a mail address that an account other than `id` has.
async fn refuse_taken_email(
    tx: &mut Tx,
    (name, email): (&str, &str),
    id: Option<AccountId>,
) -> Result<()> {
    if account::is_email_taken(tx, email, id).await? {
        return Err(taken(name, email));
    }
    Ok(())
}

fn taken(name: &str, email: &str) -> Error {
    Error::UserExists {
        name: name.to_owned(),
        email: email.to_owned(),
    }
}

fn sysadmin_flag(sysadmin: bool) -> String {
    format!("sysadmin_flag {sysadmin}")
}

/// What happens to an account.
pub(crate) fn event(now: Timestamp, origin: Origin, operation: Operation, name: &str) -> Event {
    Event::new(now, origin, operation, Subject::User(name.to_owned()))
}
