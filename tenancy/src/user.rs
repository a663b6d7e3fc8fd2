//! Users: making, changing and deleting them.

use std::time::Duration;

use db::mailed_link::Purpose;
use db::user::{self, User};
use db::{Db, Tx, principal, session};
use model::{
    AccountMail, Event, MailLanguage, Network, Operation, Origin, Principal, Profile, Subject,
    SystemTask, Timestamp, UserId, UserName,
};
use policy::{RegisterPermit, SystemPermit, UserPermit, system, to};

use crate::account_mail;
use crate::password::{Applicant, NewPassword, PasswordHasher};
use crate::{Error, Result};

/// How long an account is kept whose address nobody verifies: as long as the link works.
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

/// How somebody who makes an account for themselves shows that the address is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// By a link that is mailed in this language; before it is opened the account does not sign in.
    ByMail(MailLanguage),
    /// Not at all: no mail is sent here.
    None,
}

/// Makes an account for whoever asks. Never one with more rights than any account.
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
    let applicant = match origin.address {
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

/// Deletes accounts whose address nobody has verified in time, at most `limit`: their names and addresses become free.
/// How many.
///
/// # Errors
/// When the database fails.
pub async fn remove_unverified(db: &Db, now: Timestamp, limit: i64) -> Result<u64> {
    let before = now.minus(UNVERIFIED_KEPT);
    let origin = Origin {
        principal: Principal::System(SystemTask::Registration),
        address: None,
    };
    db.write(move |tx| {
        Box::pin(async move {
            let mut removed = 0;
            for user in user::unverified_since(tx, before, limit).await? {
                principal::hold_alone(tx, user.principal_id).await?;
                // It may have been verified, or deleted, until it was held.
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

/// Changes mail address, name and comment. Two users may have one mail address only where one of them says so itself:
/// refusing it would tell ordinary callers whose addresses are known here, and system administrators may list all.
///
/// Whoever changes their own address shows that it is theirs: links for a new password go on to be mailed to the one of
/// before, until that is opened which is mailed here to the new one. With a language, mails are sent: that link, at most
/// three times in 15 minutes, and word to the address of before. To save the address again orders the link again.
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
            if !is_own && user.unverified {
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

/// Orders the mails about an address that a user, as it was, has now.
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

/// Sets a password; tokens that were issued before are void, and sessions end. That with which somebody changes their own
/// password goes on if `key` is given, the hash of what opens it from now on. Whether it does.
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
            // Hashing takes its time: who has a new password since does not lose it to somebody who knows the old one.
            if own && generation != found {
                return Err(Error::CallerVoid);
            }
            user::set_password(tx, &user, &hash, now).await?;
            // An administrator vouches for whom they give a password.
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

/// Gives or takes the right to do everything. The sessions of before end.
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

/// Deletes a user: its name becomes free, and its memberships go. Nobody deletes themselves, the built-in
/// administrator, or the last system administrator, and no robot a system administrator.
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

/// A user who is to be changed, with the generation of its principal: nobody deletes or changes it meanwhile. It is read
/// after it is held, for whoever held it before may have changed it.
async fn hold(tx: &mut Tx, id: UserId) -> Result<(User, i64)> {
    let unknown = || Error::UserUnknown(id);
    let found = user::by_id(tx, id).await?.ok_or_else(unknown)?;
    let generation = principal::hold_alone(tx, found.principal_id).await?;
    let user = user::by_id(tx, id).await?.ok_or_else(unknown)?;
    Ok((user, generation.ok_or_else(unknown)?))
}

/// As [`hold`], for what a directory keeps of its users.
async fn hold_local(tx: &mut Tx, id: UserId) -> Result<(User, i64)> {
    let held = hold(tx, id).await?;
    match held.0.is_external {
        true => Err(Error::UserExternal(held.0.name)),
        false => Ok(held),
    }
}

/// Refuses to take the rights of a system administrator, or the user, from the last one.
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

/// What happens to a user.
pub(crate) fn event(now: Timestamp, origin: Origin, operation: Operation, name: &str) -> Event {
    Event::new(now, origin, operation, Subject::User(name.to_owned()))
}
