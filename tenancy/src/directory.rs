//! Users and groups from a directory. `auth` reads the directory; this module stores the result. A person is identified
//! by an id that the directory never changes, a group by its entry.

use aws_lc_rs::digest::{SHA256, digest};
use db::identity::{self, Found, Identity, LDAP};
use db::user::{self, NewUser};
use db::{Db, Tx, group, principal};
use model::{
    Client, Dn, GroupName, GroupSource, Operation, Origin, Principal, PrincipalId, SystemTask,
    Timestamp, UserName,
};

use crate::group::NewGroup;
use crate::user::event;
use crate::{Error, Result};

/// The comment of users that a directory made.
const COMMENT: &str = "from LDAP.";
/// Maximum characters of a stored person's name.
const LONGEST_REALNAME: usize = 255;
/// Maximum bytes of a stored mail address.
const LONGEST_EMAIL: usize = 254;

/// A person, as a directory describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id that the directory never changes.
    pub subject: String,
    /// Their entry.
    pub dn: String,
    /// Their names to sign in with, the one that they used first.
    pub names: Vec<String>,
    /// The person's name.
    pub realname: String,
    /// Their mail address. Others may have the same.
    pub email: Option<String>,
    /// Whether a group makes them a system administrator.
    pub admin: bool,
}

/// A group, as a directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its entry.
    pub entry: Dn,
    /// Its name.
    pub name: String,
}

/// The user of a person who may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Their id among principals.
    pub principal: PrincipalId,
    /// The principal's generation.
    pub generation: i64,
}

/// The result of reading a user from the directory.
#[derive(Clone, Debug)]
pub enum Reading {
    /// They exist, in these groups; `None` if the groups could not be read.
    Found(Identity, Person, Option<Vec<Group>>),
    /// They may not sign in any more, for this reason.
    Ended(Identity, &'static str),
}

/// Stores a person who has signed in, or whom `by` imports: makes a user the first time, and later updates the user and
/// groups. Groups that could not be read stay as they are.
///
/// # Errors
/// [`Error::NameTaken`], [`Error::NameInvalid`].
pub async fn admit(
    db: &Db,
    person: Person,
    groups: Option<Vec<Group>>,
    (by, now): (Origin, Timestamp),
) -> Result<Admitted> {
    let once = || {
        let (person, groups, by) = (person.clone(), groups.clone(), by.clone());
        db.write(move |tx| Box::pin(async move { admit_in(tx, &person, groups, (by, now)).await }))
    };
    match once().await {
        Err(error) if is_race(&error) => once().await,
        done => done,
    }
}

/// Stores the results of a reading, all or none.
///
/// # Errors
/// When the database fails.
pub async fn take_over(db: &Db, readings: Vec<Reading>, now: Timestamp) -> Result<()> {
    let once = || {
        let readings = readings.clone();
        db.write(move |tx| Box::pin(async move { take_over_in(tx, readings, now).await }))
    };
    match once().await {
        Err(error) if is_race(&error) => once().await,
        done => done,
    }
}

/// True if another transaction made the user or a group meanwhile: a retry will find it.
pub(crate) fn is_race(error: &Error) -> bool {
    matches!(
        error,
        Error::Database(db::Error::Duplicate(_)) | Error::GroupExists(_)
    )
}

async fn take_over_in(tx: &mut Tx, readings: Vec<Reading>, now: Timestamp) -> Result<()> {
    let mut unchanged = Vec::new();
    for reading in readings {
        match reading {
            Reading::Found(identity, person, groups) => {
                update(tx, &identity, &person, groups, now).await?;
            }
            Reading::Ended(identity, _) if !identity.active => unchanged.push(identity.principal),
            Reading::Ended(identity, why) => end(tx, &identity, why, now).await?,
        }
    }
    Ok(identity::set_read(tx, unchanged, now).await?)
}

async fn admit_in(
    tx: &mut Tx,
    person: &Person,
    groups: Option<Vec<Group>>,
    (by, now): (Origin, Timestamp),
) -> Result<Admitted> {
    let known = identity::by_subject(tx, LDAP, &person.subject).await?;
    if let Some(identity) = known {
        update(tx, &identity, person, groups, now).await?;
        return Ok(Admitted {
            principal: identity.principal,
            generation: identity.generation,
        });
    }
    let name = usable_name(tx, person).await?;
    let row = NewUser {
        name: name.to_string(),
        email: email(person).map(str::to_owned),
        realname: realname(person),
        comment: COMMENT.to_owned(),
        password_hash: None,
        sysadmin: false,
        email_verified: false,
        unverified: false,
    };
    let (_, principal) = user::create(tx, &row, now).await?;
    let subject = (LDAP, &*person.subject);
    let found = Found {
        dn: &person.dn,
        admin: person.admin,
    };
    identity::create(tx, principal, subject, found, now).await?;
    let made = event(now, by, Operation::Create, &row.name);
    tx.record(&made.with_detail(format!("found at {}", person.dn)))
        .await?;
    join(tx, principal, groups, now).await?;
    Ok(Admitted {
        principal,
        generation: 1,
    })
}

/// The name of a new user.
async fn usable_name(tx: &mut Tx, person: &Person) -> Result<UserName> {
    let name = person.names.first().map(String::as_str).unwrap_or_default();
    let name: UserName = name.parse().map_err(Error::NameInvalid)?;
    match is_taken(tx, name.as_str()).await? {
        true => Err(Error::NameTaken(name.to_string())),
        false => Ok(name),
    }
}

/// True if a user or a robot has the name.
pub(crate) async fn is_taken(tx: &mut Tx, name: &str) -> Result<bool> {
    Ok(user::by_name(tx, name).await?.is_some()
        || db::robot::by_full_name(tx, name).await?.is_some())
}

/// Updates a user who may sign in (again).
async fn update(
    tx: &mut Tx,
    identity: &Identity,
    person: &Person,
    groups: Option<Vec<Group>>,
    now: Timestamp,
) -> Result<()> {
    if principal::hold_alone(tx, identity.principal)
        .await?
        .is_none()
    {
        // Deleted meanwhile.
        return Ok(());
    }
    let admin = person.admin || (groups.is_none() && identity.admin);
    rename(tx, identity, person, now).await?;
    let profile = (email(person), &*realname(person));
    user::set_person(tx, identity.principal, profile, now).await?;
    let dn = &person.dn;
    identity::set_found(tx, identity, Found { dn, admin }, now).await?;
    record_changes(tx, identity, (admin, "the directory"), now).await?;
    join(tx, identity.principal, groups, now).await
}

/// Records what becomes of a user who may sign in, by whom.
pub(crate) async fn record_changes(
    tx: &mut Tx,
    identity: &Identity,
    (admin, by): (bool, &str),
    now: Timestamp,
) -> Result<()> {
    for (changed, detail) in [
        (!identity.active, format!("may sign in again by {by}")),
        (
            !identity.admin && admin,
            format!("is a system administrator by {by}"),
        ),
        (
            identity.admin && !admin,
            format!("is no system administrator by {by} any more"),
        ),
    ] {
        if changed {
            let event = event(now, origin(), Operation::Update, &identity.name);
            tx.record(&event.with_detail(detail)).await?;
        }
    }
    Ok(())
}

/// Gives the user the present name in the directory, unless another account has it here.
async fn rename(tx: &mut Tx, identity: &Identity, person: &Person, now: Timestamp) -> Result<()> {
    let Some(name) = person.names.first() else {
        return Ok(());
    };
    if person.names.contains(&identity.name) {
        return Ok(());
    }
    let is_usable = name.parse::<UserName>().is_ok() && !is_taken(tx, name).await?;
    if !is_usable {
        tracing::warn!(
            user.name = identity.name,
            "the directory has another name for a user, which cannot be used or is taken: the old one stays"
        );
        return Ok(());
    }
    user::rename(tx, identity.principal, name).await?;
    let event = event(now, origin(), Operation::Update, &identity.name);
    Ok(tx
        .record(&event.with_detail(format!("renamed to {name} by the directory")))
        .await?)
}

pub(crate) async fn end(tx: &mut Tx, identity: &Identity, why: &str, now: Timestamp) -> Result<()> {
    if principal::hold_alone(tx, identity.principal)
        .await?
        .is_none()
    {
        return Ok(());
    }
    identity::end(tx, identity.principal, now).await?;
    let event = event(now, origin(), Operation::Update, &identity.name);
    Ok(tx
        .record(&event.with_detail(format!("may not sign in any more: {why}")))
        .await?)
}

/// Puts a user into groups, which are made if missing, and removes it from all others of the directory.
async fn join(
    tx: &mut Tx,
    principal: PrincipalId,
    groups: Option<Vec<Group>>,
    now: Timestamp,
) -> Result<()> {
    let Some(groups) = groups else {
        return Ok(());
    };
    let mut ids = Vec::with_capacity(groups.len());
    for group in groups {
        ids.push(ensure(tx, &group, now).await?);
    }
    ids.sort_unstable();
    ids.dedup();
    group::set_of_member(tx, principal, GroupSource::Ldap, &ids).await?;
    Ok(())
}

/// The group of an entry, made if there is none.
async fn ensure(tx: &mut Tx, found: &Group, now: Timestamp) -> Result<PrincipalId> {
    if let Some(group) = group::by_entry(tx, &found.entry).await? {
        return Ok(group.principal_id);
    }
    let new = new_group(tx, found).await?;
    let (_, principal) = crate::group::insert(tx, &new, (origin(), now)).await?;
    Ok(principal)
}

/// A new group of the directory with a free name: its own, else its entry as in Harbor, else one composed of both.
///
/// # Errors
/// When the database fails.
pub async fn new_group(tx: &mut db::Reader, found: &Group) -> Result<NewGroup> {
    let entry = found.entry.as_str();
    let hash = hex::encode(digest(&SHA256, found.entry.key().as_bytes()));
    let short: String = found.name.trim().chars().take(200).collect();
    let made = format!("{} {}", short.trim(), &hash[..16]);
    let mut names = [found.name.trim(), entry, made.trim()]
        .into_iter()
        .filter_map(|name| name.parse::<GroupName>().ok());
    // The hash is always a valid name.
    let fallback = || hash[..16].parse::<GroupName>();
    loop {
        let name = match names.next() {
            Some(name) => name,
            None => fallback().map_err(|_| Error::GroupExists(made.clone()))?,
        };
        let is_last = name.as_str() == &hash[..16];
        if is_last || group::by_name(tx, name.as_str()).await?.is_none() {
            return Ok(NewGroup {
                name,
                source: GroupSource::Ldap,
                entry: Some(found.entry.clone()),
            });
        }
    }
}

/// Descriptive attributes are shortened, and never a reason for refusal.
fn realname(person: &Person) -> String {
    fitting_realname(&person.realname)
}

fn email(person: &Person) -> Option<&str> {
    fitting_email(person.email.as_deref())
}

pub(crate) fn fitting_realname(realname: &str) -> String {
    let visible = realname.chars().filter(|it| !it.is_control());
    visible.take(LONGEST_REALNAME).collect()
}

pub(crate) fn fitting_email(email: Option<&str>) -> Option<&str> {
    let email = email?;
    let fits =
        !email.is_empty() && email.len() <= LONGEST_EMAIL && !email.contains(char::is_control);
    fits.then_some(email)
}

/// The origin of changes that come from the directory.
pub fn origin() -> Origin {
    Origin {
        principal: Principal::System(SystemTask::Directory),
        client: Client::default(),
    }
}
