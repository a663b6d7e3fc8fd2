//! Members of projects and their roles.

use db::member::{self, Member};
use db::{Db, Tx, principal};
use model::{Event, MemberId, Operation, Origin, PrincipalId, ProjectId, Subject, Timestamp};
use policy::{ProjectPermit, Role, on, to};

use crate::group::{self, NewGroup};
use crate::{Error, Result};

/// Makes a principal a member.
///
/// # Errors
/// [`Error::PrincipalUnknown`], [`Error::MemberExists`], [`Error::ProjectGone`].
pub async fn grant(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Create>,
    id: PrincipalId,
    role: Role,
    now: Timestamp,
) -> Result<MemberId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let new = NewMember { project, role };
            add(tx, new, id, (origin, now)).await
        })
    })
    .await
}

/// Makes the group with a name a member, and makes the group if it does not exist: a provider may use it later.
///
/// # Errors
/// [`Error::GroupExists`] if a group of that name comes from another source, [`Error::MemberExists`],
/// [`Error::ProjectGone`].
pub async fn grant_group(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Create>,
    group: NewGroup,
    role: Role,
    now: Timestamp,
) -> Result<MemberId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let known = match &group.entry {
                Some(entry) => db::group::by_entry(tx, entry).await?,
                None => db::group::by_name(tx, group.name.as_str()).await?,
            };
            let principal = match known {
                Some(known) if known.source == group.source => known.principal_id,
                Some(known) => return Err(Error::GroupExists(known.name)),
                None => {
                    let (_, made) = group::insert(tx, &group, (origin.clone(), now)).await?;
                    made
                }
            };
            let new = NewMember { project, role };
            add(tx, new, principal, (origin, now)).await
        })
    })
    .await
}

/// A membership to be made.
struct NewMember {
    project: ProjectId,
    role: Role,
}

async fn add(
    tx: &mut Tx,
    NewMember { project, role }: NewMember,
    id: PrincipalId,
    (origin, now): (Origin, Timestamp),
) -> Result<MemberId> {
    let held = principal::hold(tx, id).await?;
    let (name, kind) = held.ok_or(Error::PrincipalUnknown(id))?;
    let added = member::add(tx, project, (id, kind), role, now).await;
    let member = added.map_err(|error| match error {
        db::Error::Duplicate(_) => Error::MemberExists(name.clone()),
        other => other.into(),
    })?;
    let named = (project, name);
    tx.record(&event(now, origin, Operation::Create, named, role))
        .await?;
    Ok(member)
}

/// Changes a member's role.
///
/// # Errors
/// [`Error::MemberUnknown`], [`Error::ProjectGone`].
pub async fn change(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Update>,
    id: MemberId,
    role: Role,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let member = hold(tx, project, id).await?;
            member::set_role(tx, &member, role).await?;
            let named = (project, member.name);
            Ok(tx
                .record(&event(now, origin, Operation::Update, named, role))
                .await?)
        })
    })
    .await
}

/// Ends a membership.
///
/// # Errors
/// [`Error::MemberUnknown`], [`Error::ProjectGone`].
pub async fn revoke(
    db: &Db,
    permit: &ProjectPermit<on::Member, to::Delete>,
    id: MemberId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let member = hold(tx, project, id).await?;
            member::remove(tx, &member).await?;
            let named = (project, member.name);
            Ok(tx
                .record(&event(now, origin, Operation::Delete, named, member.role))
                .await?)
        })
    })
    .await
}

/// A membership to be changed, locked: if two end it, the second finds none.
async fn hold(tx: &mut Tx, project: ProjectId, id: MemberId) -> Result<Member> {
    let member = member::hold(tx, project, id).await?;
    member.ok_or(Error::MemberUnknown {
        project,
        member: id,
    })
}

fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (project, name): (ProjectId, String),
    role: Role,
) -> Event {
    let subject = Subject::Member { project, name };
    Event::new(now, origin, operation, subject).with_detail(role.name())
}
