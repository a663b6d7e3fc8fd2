//! What all kinds of principals have: an id, a name, and a generation that voids their tokens. What else users have is
//! in [`crate::user`].

use model::{PrincipalId, Timestamp};

use crate::applied;
use crate::error::Result;
use crate::mailed_link;
use crate::session;
use crate::sql::{Tx, stored_names};
use crate::touch::Touch;

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person.
    User,
    /// A program that signs in by itself.
    Robot,
    /// A group of users, which holds roles and cannot sign in.
    Group,
    /// A workload rule.
    Workload,
}

stored_names! {
    Kind {
        User = "user",
        Robot = "robot",
        Group = "group",
        Workload = "workload",
    }
}

/// Makes a principal.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name is taken.
pub(crate) async fn create(tx: &mut Tx, kind: Kind, name: &str) -> Result<PrincipalId> {
    let row = tx
        .query("insert into principal (kind, name, generation) values ($1, $2, 1) returning id")
        .bind(kind)
        .bind(name)
        .one()
        .await?;
    row.get("principal", "id")
}

/// The name and kind of a principal, which cannot be deleted until the transaction ends; `None` if it does not exist
/// (any more).
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: PrincipalId) -> Result<Option<(String, Kind)>> {
    let row = tx
        .query_either(
            "select name, kind from principal where id = $1 and deleted_at is null",
            "select name, kind from principal where id = $1 and deleted_at is null for key share",
        )
        .bind(id)
        .optional()
        .await?;
    row.map(|row| Ok((row.get("principal", "name")?, row.get("principal", "kind")?)))
        .transpose()
}

/// The generation of a principal to change, which nobody else changes or deletes until the transaction ends; `None` if
/// it does not exist (any more).
///
/// # Errors
/// When the statement fails.
pub async fn hold_alone(tx: &mut Tx, id: PrincipalId) -> Result<Option<i64>> {
    let row = tx
        .query_either(
            "select generation from principal where id = $1 and deleted_at is null",
            "select generation from principal where id = $1 and deleted_at is null for no key update",
        )
        .bind(id)
        .optional()
        .await?;
    row.map(|row| row.get("principal", "generation"))
        .transpose()
}

/// Voids all existing tokens.
///
/// # Errors
/// When the statement fails.
pub async fn void_tokens(tx: &mut Tx, id: PrincipalId) -> Result<()> {
    tx.query("update principal set generation = generation + 1 where id = $1")
        .bind(id)
        .execute()
        .await?;
    tx.touch(Touch::Principal(id));
    Ok(())
}

/// Deletes a principal: its name becomes free, its tokens and sessions are void, and its own data and memberships of
/// projects and groups are removed. Others that are adding memberships at the moment [lock](hold) it first, so none is
/// left behind.
pub(crate) async fn delete(tx: &mut Tx, id: PrincipalId, now: Timestamp) -> Result<()> {
    if tx.is_postgres() {
        tx.query("select id from principal where id = $1 for update")
            .bind(id)
            .one()
            .await?;
    }
    tx.query("update principal set generation = generation + 1, deleted_at = $2 where id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    applied::forget_members(tx, id).await?;
    for statement in [
        "delete from member where principal_id = $1",
        "delete from former_member where principal_id = $1",
        "delete from expected_identity where principal_id = $1",
        "delete from group_member where principal_id = $1 or group_id = $1",
        "delete from preference where principal_id = $1",
        "delete from notice_dismissal where principal_id = $1",
    ] {
        tx.query(statement).bind(id).execute().await?;
    }
    session::end_others(tx, id, None).await?;
    mailed_link::remove_all(tx, id).await?;
    tx.touch(Touch::Principal(id));
    Ok(())
}
