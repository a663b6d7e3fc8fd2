//! Groups of users: making, renaming and deleting them. Their members come from a directory or provider.

use db::group::{self, Group};
use db::{Db, Tx};
use model::{
    Dn, Event, GroupId, GroupName, GroupSource, Operation, Origin, PrincipalId, Subject, Timestamp,
};
use policy::{SystemPermit, system, to};

use crate::{Error, Result};

/// A group to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its name.
    pub name: GroupName,
    /// Where it comes from.
    pub source: GroupSource,
    /// Its entry in the directory; none unless it comes from LDAP.
    pub entry: Option<Dn>,
}

/// Makes a group.
///
/// # Errors
/// [`Error::GroupExists`].
pub async fn create(
    db: &Db,
    permit: &SystemPermit<(system::Group, to::Create)>,
    new: NewGroup,
    now: Timestamp,
) -> Result<GroupId> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let (id, _) = insert(tx, &new, (origin, now)).await?;
            Ok(id)
        })
    })
    .await
}

/// Makes a group in a transaction that may make more.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewGroup,
    (origin, now): (Origin, Timestamp),
) -> Result<(GroupId, PrincipalId)> {
    let name = new.name.as_str();
    let made = group::create(tx, (name, new.source, new.entry.as_ref()), now).await;
    let made = made.map_err(|error| match error {
        db::Error::Duplicate(_) => Error::GroupExists(new.name.to_string()),
        other => other.into(),
    })?;
    tx.record(&event(now, origin, Operation::Create, name))
        .await?;
    Ok(made)
}

/// Gives a group another name.
///
/// # Errors
/// [`Error::GroupUnknown`], [`Error::GroupExists`].
pub async fn rename(
    db: &Db,
    permit: &SystemPermit<(system::Group, to::Update)>,
    (id, name): (GroupId, GroupName),
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let group = hold(tx, id).await?;
            let renamed = group::rename(tx, &group, name.as_str(), now).await;
            renamed.map_err(|error| match error {
                db::Error::Duplicate(_) => Error::GroupExists(name.to_string()),
                other => other.into(),
            })?;
            let event = event(now, origin, Operation::Update, &group.name);
            Ok(tx
                .record(&event.with_detail(format!("renamed to {name}")))
                .await?)
        })
    })
    .await
}

/// Deletes a group: its name becomes free, and its members lose its roles.
///
/// # Errors
/// [`Error::GroupUnknown`].
pub async fn delete(
    db: &Db,
    permit: &SystemPermit<(system::Group, to::Delete)>,
    id: GroupId,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let group = hold(tx, id).await?;
            group::delete(tx, &group, now).await?;
            Ok(tx
                .record(&event(now, origin, Operation::Delete, &group.name))
                .await?)
        })
    })
    .await
}

/// A group to be changed, locked against other changes.
async fn hold(tx: &mut Tx, id: GroupId) -> Result<Group> {
    group::hold(tx, id).await?.ok_or(Error::GroupUnknown(id))
}

/// An event about a group.
fn event(now: Timestamp, origin: Origin, operation: Operation, name: &str) -> Event {
    Event::new(now, origin, operation, Subject::Group(name.to_owned()))
}
