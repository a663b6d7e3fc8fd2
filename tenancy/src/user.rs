//! Users: making, changing and deleting them.

use std::time::Duration;

use db::audit::erasure;
use db::job::{self, NewJob, Priority};
use db::mailed_link::Purpose;
use db::user::{self, User};
use db::{Db, Tx, principal, session};
use model::{
    AccountMail, Client, ErasureJob, Event, MailLanguage, Network, Operation, Origin, Principal,
    PrincipalId, Profile, Subject, SystemTask, Timestamp, UserId, UserName,
};
use policy::{RegisterPermit, SystemPermit, UserPermit, system, to};

use crate::account_mail;
use crate::password::{Applicant, NewPassword, PasswordHasher};
use crate::{Error, Result};

/// How long an account with an unverified address is kept: as long as the link works.
pub const UNVERIFIED_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: UserName,
    /// Mail address, name and comment.
    pub profile: Profile,
    /// The password to sign in with.
    pub password: NewPassword,
    /// Whether it may do everything.
    pub sysadmin: bool,
}

/// Makes a user.
///
/// # Errors
/// [`Error::UserExists`], [`Error::Password`].
pub async fn create(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &SystemPermit<(system::User, to::Create)>,
    new: NewUser,
    now: Timestamp,
) -> Result<UserId> {
    let hash = hasher.hash(&new.password).await?;
    let row = row(&new, hash);
    let event = event(now, permit.caller().origin(), Operation::Create, &row.name);
    let event = match new.sysadmin {
        true => event.with_detail(sysadmin_flag(true)),
        false => event,
    };
    db.write(move |tx| Box::pin(async move { insert(tx, &row, &event, now).await }))
        .await
}

/// How the address of a registered account is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// By a link that is mailed in this language; the account cannot sign in before it is opened.
    ByMail(MailLanguage),
    /// Not at all: mail is not set up.
    None,
}

/// Makes an account for the caller, without special rights.
///
/// # Errors
/// [`Error::UserExists`], [`Error::Password`].
pub async fn register(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &RegisterPermit,
    (new, verification): (NewUser, Verification),
    now: Timestamp,
) -> Result<UserId> {
    let origin = permit.caller().origin();
    let applicant = match permit.caller().address {
        Some(address) => Applicant::Stranger(Network::of(address)),
        None => Applicant::Known,
    };
    let hash = hasher.hash_for(applicant, &new.password).await?;
    let row = user::NewUser {
        sysadmin: false,
        email_verified: false,
        unverified: verification != Verification::None,
        ..row(&new, hash)
    };
    let event = event(now, origin, Operation::Create, &row.name).with_detail("registered");
    db.write(move |tx| {
        Box::pin(async move {
            let user = insert(tx, &row, &event, now).await?;
            if let Verification::ByMail(language) = verification {
                let mail = AccountMail::Verification { user, language };
                account_mail::order(tx, &mail, now).await?;
            }
            Ok(user)
        })
    })
    .await
}

fn row(new: &NewUser, hash: String) -> user::NewUser {
    user::NewUser {
        name: new.name.to_string(),
        email: Some(new.profile.email().to_owned()),
        email_verified: true,
        realname: new.profile.realname().to_owned(),
        comment: new.profile.comment().to_owned(),
        password_hash: Some(hash),
        sysadmin: new.sysadmin,
        unverified: false,
    }
}

async fn insert(tx: &mut Tx, row: &user::NewUser, event: &Event, now: Timestamp) -> Result<UserId> {
    let email = row.email.as_deref().unwrap_or_default();
    refuse_taken_email(tx, (&row.name, email), None).await?;
    let made = user::create(tx, row, now).await;
    let (id, _) = made.map_err(|error| match error {
        db::Error::Duplicate(_) => taken(&row.name, email),
        other => other.into(),
    })?;
    tx.record(event).await?;
    Ok(id)
}

/// Deletes accounts whose address was not verified in time, at most `limit`: their names and addresses become free.
/// Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn remove_unverified(db: &Db, now: Timestamp, limit: i64) -> Result<u64> {
    let before = now.minus(UNVERIFIED_KEPT);
    let origin = Origin {
        principal: Principal::System(SystemTask::Registration),
        client: Client::default(),
    };
    db.write(move |tx| {
        Box::pin(async move {
            let mut removed = 0;
            for user in user::unverified_since(tx, before, limit).await? {
                principal::hold_alone(tx, user.principal_id).await?;
                // It may have been verified or deleted before it was locked.
                let user = user::by_id(tx, user.id).await?;
                let Some(user) = user.filter(|user| user.unverified) else {
                    continue;
                };
                user::delete(tx, &user, now).await?;
                let event = event(now, origin.clone(), Operation::Delete, &user.name);
                tx.record(&event.with_detail("mail address not verified"))
                    .await?;
                removed += 1;
            }
            Ok(removed)
        })
    })
    .await
}

/// Changes mail address, name and comment. Two users can have the same mail address only if one of them sets it for
/// itself: a refusal would reveal to ordinary callers which addresses are known here, while system administrators may
/// list all.
///
/// Users who change their own address have to verify it: links for a new password are still mailed to the previous one,
/// until the link mailed to the new one is opened. With a language, mails are sent: that link, at most three times in
/// 15 minutes, and a notice to the previous address. Saving the address again sends the link again.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::UserExists`], [`Error::UserExternal`], [`Error::MailsWait`].
pub async fn update_profile(
    db: &Db,
    permit: &UserPermit,
    (profile, mails): (Profile, Option<MailLanguage>),
    now: Timestamp,
) -> Result<()> {
    let (id, origin, is_own) = (permit.user(), permit.caller().origin(), permit.is_own());
    let may_list_all = permit.caller().is_sysadmin();
    db.write(move |tx| {
        Box::pin(async move {
            let (user, _) = hold_local(tx, id).await?;
            let changed = (profile.email(), profile.realname(), profile.comment());
            if may_list_all {
                refuse_taken_email(tx, (&user.name, changed.0), Some(id)).await?;
            }
            user::set_profile(tx, &user, changed, !is_own, now).await?;
            // An administrator vouches for the address of whom they correct.
            let is_corrected = user.email.as_deref() != Some(changed.0);
            if !is_own && user.unverified && is_corrected {
                user::let_in(tx, &user, now).await?;
            }
            if let Some(language) = mails {
                mail_of_address(tx, &user, (changed.0, is_own), language, now).await?;
            }
            let event = event(now, origin, Operation::Update, &user.name);
            let detail = match user.email.as_deref() == Some(changed.0) {
                true => "profile",
                false => "profile, mail address",
            };
            Ok(tx.record(&event.with_detail(detail)).await?)
        })
    })
    .await
}

/// Queues the mails about a user's new address.
async fn mail_of_address(
    tx: &mut Tx,
    user: &User,
    (email, is_own): (&str, bool),
    language: MailLanguage,
    now: Timestamp,
) -> Result<()> {
    let before = user.verified_email.as_deref();
    if before == Some(email) {
        return Ok(());
    }
    if is_own {
        let links = (user.principal_id, Purpose::Verify);
        if !account_mail::is_flooded(tx, links, now).await? {
            let user = user.id;
            let link = AccountMail::Verification { user, language };
            account_mail::order(tx, &link, now).await?;
        }
    }
    match before.filter(|_| user.email.as_deref() != Some(email)) {
        None => Ok(()),
        Some(before) => {
            let word = AccountMail::AddressChanged {
                email: before.to_owned(),
                account: user.name.clone(),
                language,
            };
            account_mail::order(tx, &word, now).await
        }
    }
}

/// Sets a password; existing tokens are void, and sessions end. The session in which users change their own password
/// continues if `key` is given, the hash of its new key. Returns whether it does.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::UserExternal`], [`Error::Password`]; [`Error::CallerVoid`] if another change of their own password came first.
pub async fn set_password(
    db: &Db,
    hasher: &PasswordHasher,
    permit: &UserPermit,
    (password, key): (&NewPassword, Option<[u8; 32]>),
    now: Timestamp,
) -> Result<bool> {
    let (id, caller) = (permit.user(), permit.caller());
    let (origin, own) = (caller.origin(), permit.is_own());
    let (generation, kept) = (caller.authority.generation, caller.session());
    let hash = hasher.hash(password).await?;
    db.write(move |tx| {
        Box::pin(async move {
            let (user, found) = hold_local(tx, id).await?;
            // Hashing takes time: a password set meanwhile must not be replaced by somebody who only knows the old one.
            if own && generation != found {
                return Err(Error::CallerVoid);
            }
            user::set_password(tx, &user, &hash, now).await?;
            // By giving a password, an administrator confirms the account.
            if user.unverified {
                user::let_in(tx, &user, now).await?;
            }
            let kept = kept.filter(|_| own).zip(key);
            session::end_others(tx, user.principal_id, kept.map(|(id, _)| id)).await?;
            let goes_on = match kept {
                Some((id, key)) => session::rehash(tx, id, &key).await?,
                None => false,
            };
            let event = event(now, origin, Operation::Update, &user.name);
            tx.record(&event.with_detail("password")).await?;
            Ok(goes_on)
        })
    })
    .await
}

/// Grants or revokes the right to do everything. Existing sessions end.
///
/// # Errors
/// [`Error::UserUnknown`], [`Error::LastSysadmin`].
pub async fn set_sysadmin(
    db: &Db,
    permit: &SystemPermit,
    id: UserId,
    sysadmin: bool,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let (user, _) = hold(tx, id).await?;
            if !sysadmin {
                keep_a_sysadmin(tx, &user).await?;
            }
            user::set_sysadmin(tx, &user, sysadmin, now).await?;
            session::end_others(tx, user.principal_id, None).await?;
            let event = event(now, origin, Operation::Update, &user.name);
            Ok(tx
                .record(&event.with_detail(sysadmin_flag(sysadmin)))
                .await?)
        })
    })
    .await
}

/// Deletes a user: its name becomes free, and its memberships end. Nobody can delete themselves, the built-in
/// administrator or the last system administrator, and a robot cannot delete a system administrator.
///
/// # Errors
/// [`Error::UserUndeletable`], [`Error::UserUnknown`], [`Error::LastSysadmin`].
pub async fn delete(
    db: &Db,
    permit: &SystemPermit<(system::User, to::Delete)>,
    id: UserId,
    now: Timestamp,
) -> Result<()> {
    if id == UserId::ADMIN || permit.caller().user() == Some(id) {
        return Err(Error::UserUndeletable(id));
    }
    let (origin, is_sysadmin) = (permit.caller().origin(), permit.caller().is_sysadmin());
    db.write(move |tx| {
        Box::pin(async move {
            let (user, _) = hold(tx, id).await?;
            if user.sysadmin && !is_sysadmin {
                return Err(Error::UserUndeletable(id));
            }
            keep_a_sysadmin(tx, &user).await?;
            user::delete(tx, &user, now).await?;
            let event = event(now, origin, Operation::Delete, &user.name);
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Replaces a person's name by a pseudonym, wherever it is shown, and removes what else is known about the person. An
/// existing user is deleted first. A job takes the name out of the audit log, whose chain can still be verified. Returns
/// the pseudonym.
///
/// # Errors
/// [`Error::UserUndeletable`], [`Error::UserUnknown`], [`Error::LastSysadmin`].
pub async fn erase(db: &Db, permit: &SystemPermit, id: UserId, now: Timestamp) -> Result<String> {
    // The second one is `anonymous`, which is nobody.
    if id.0 <= 2 || permit.caller().user() == Some(id) {
        return Err(Error::UserUndeletable(id));
    }
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let found = user::any_by_id(tx, id).await?;
            let found = found.ok_or(Error::UserUnknown(id))?;
            if !found.is_deleted {
                let (user, _) = hold(tx, id).await?;
                keep_a_sysadmin(tx, &user).await?;
                user::delete(tx, &user, now).await?;
            }
            let pseudonym = erasure::pseudonym(found.principal);
            if found.name != pseudonym {
                let named = (found.principal, &*found.name);
                erasure::begin(tx, named, found.created_at).await?;
                user::erase(tx, found.principal, &pseudonym).await?;
                let event = event(now, origin, Operation::Delete, &pseudonym);
                tx.record(&event.with_detail("erased")).await?;
            }
            order_erasure(tx, found.principal, now).await?;
            Ok(pseudonym)
        })
    })
    .await
}

/// Queues the job that takes a name out of the audit log.
async fn order_erasure(tx: &mut Tx, principal: PrincipalId, now: Timestamp) -> Result<()> {
    let new = NewJob {
        kind: ErasureJob::JOB.to_owned(),
        payload_version: ErasureJob::VERSION,
        // A number, which can always be serialized.
        payload: serde_json::to_string(&ErasureJob { principal }).unwrap_or_default(),
        dedup_key: Some(principal.to_string()),
        lane: None,
        priority: Priority::Normal,
        due_at: now,
    };
    job::add(tx, &new, now).await?;
    Ok(())
}

/// A user to be changed, with the generation of its principal, locked against other changes. It is read after it is
/// locked, because the previous holder of the lock may have changed it.
async fn hold(tx: &mut Tx, id: UserId) -> Result<(User, i64)> {
    let unknown = || Error::UserUnknown(id);
    let found = user::by_id(tx, id).await?.ok_or_else(unknown)?;
    let generation = principal::hold_alone(tx, found.principal_id).await?;
    let user = user::by_id(tx, id).await?.ok_or_else(unknown)?;
    Ok((user, generation.ok_or_else(unknown)?))
}

/// As [`hold`], for data that a directory has for its users.
async fn hold_local(tx: &mut Tx, id: UserId) -> Result<(User, i64)> {
    let held = hold(tx, id).await?;
    match held.0.is_external {
        true => Err(Error::UserExternal(held.0.name)),
        false => Ok(held),
    }
}

/// Refuses to demote or delete the last system administrator.
async fn keep_a_sysadmin(tx: &mut Tx, user: &User) -> Result<()> {
    if user::is_last_sysadmin(tx, user.id).await? {
        return Err(Error::LastSysadmin {
            id: user.id,
            name: user.name.clone(),
        });
    }
    Ok(())
}

/// Refuses a mail address that a user other than `id` has.
async fn refuse_taken_email(
    tx: &mut Tx,
    (name, email): (&str, &str),
    id: Option<UserId>,
) -> Result<()> {
    user::hold_email(tx, email).await?;
    if user::is_email_taken(tx, email, id).await? {
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

/// An event about a user.
pub(crate) fn event(now: Timestamp, origin: Origin, operation: Operation, name: &str) -> Event {
    Event::new(now, origin, operation, Subject::User(name.to_owned()))
}
