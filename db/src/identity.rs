//! Users from a directory or a provider: their identity there, and what was last read about them. What they share with
//! other users is in [`crate::user`].

use std::ops::Range;

use model::{PrincipalId, Timestamp};

use crate::error::Result;
use crate::principal;
use crate::session;
use crate::sql::{Reader, Tx, json_list, row};
use crate::touch::Touch;

/// The source of directories that speak LDAP.
pub const LDAP: &str = "ldap";

/// The source of providers that speak OpenID Connect.
pub const OIDC: &str = "oidc";

row! {
    columns identity_columns;
    /// A user from a directory or provider.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Identity of identity {
        /// Its id among principals.
        pub principal: PrincipalId = i.principal_id,
        /// The name to sign in with.
        pub name: String = p.name,
        /// The principal's generation.
        pub generation: i64 = p.generation,
        /// Its id there, which never changes.
        pub subject: String = i.subject,
        /// Its entry, as last found.
        pub dn: String = i.dn,
        /// Whether a group there makes it a system administrator.
        pub admin: bool = i.admin,
        /// Whether it may sign in.
        pub active: bool = i.active,
        /// When it was last read.
        pub read_at: Timestamp = i.read_at,
    }
}

macro_rules! select {
    () => {
        concat!(
            "select ",
            identity_columns!(),
            " from identity i join principal p on p.id = i.principal_id where p.deleted_at is null and i.source = $1 "
        )
    };
}

/// What a directory says about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its entry.
    pub dn: &'a str,
    /// Whether a group there makes it a system administrator.
    pub admin: bool,
}

/// Ties a user to an identity in a directory or at a provider.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another user is tied to it.
pub async fn create(
    tx: &mut Tx,
    principal: PrincipalId,
    (source, subject): (&str, &str),
    found: Found<'_>,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into identity (principal_id, source, subject, dn, admin, active, read_at)
         values ($1, $2, $3, $4, $5, 1, $6)",
    )
    .bind(principal)
    .bind(source)
    .bind(subject)
    .bind(found.dn)
    .bind(found.admin)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The user with a subject in a source.
///
/// # Errors
/// When the statement fails.
pub async fn by_subject(
    reader: &mut Reader,
    source: &str,
    subject: &str,
) -> Result<Option<Identity>> {
    let row = reader
        .query(concat!(select!(), "and i.subject = $2"))
        .bind(source)
        .bind(subject)
        .optional()
        .await?;
    row.as_ref().map(Identity::read).transpose()
}

/// The identity that a principal has from a source.
///
/// # Errors
/// When the statement fails.
pub async fn of_principal(
    reader: &mut Reader,
    source: &str,
    principal: PrincipalId,
) -> Result<Option<Identity>> {
    let row = reader
        .query(concat!(select!(), "and i.principal_id = $2"))
        .bind(source)
        .bind(principal)
        .optional()
        .await?;
    row.as_ref().map(Identity::read).transpose()
}

/// The identity of the user with a name, if it is from a source.
///
/// # Errors
/// When the statement fails.
pub async fn of_name(reader: &mut Reader, source: &str, name: &str) -> Result<Option<Identity>> {
    let row = reader
        .query(concat!(select!(), "and p.kind = 'user' and p.name = $2"))
        .bind(source)
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Identity::read).transpose()
}

/// Users of an issuer, all of them.
///
/// # Errors
/// When the statement fails.
pub async fn of_issuer(reader: &mut Reader, source: &str, issuer: &str) -> Result<Vec<Identity>> {
    let rows = reader
        .query(concat!(
            select!(),
            "and substr(i.subject, 1, length($2) + 1) = $2 || ' ' order by i.principal_id"
        ))
        .bind(source)
        .bind(issuer)
        .all()
        .await?;
    rows.iter().map(Identity::read).collect()
}

/// Gives a user another subject in its source.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another user has it.
pub async fn set_subject(tx: &mut Tx, principal: PrincipalId, subject: &str) -> Result<()> {
    tx.query("update identity set subject = $2 where principal_id = $1")
        .bind(principal)
        .bind(subject)
        .execute()
        .await?;
    tx.query("update oidc_account set refresh_token = null where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    tx.touch(Touch::Principal(principal));
    Ok(())
}

/// Parts a user from its identity: its tokens are void, its sessions end, and what was stored for it goes.
///
/// # Errors
/// When a statement fails.
pub async fn remove(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    for statement in [
        "delete from identity where principal_id = $1",
        "delete from oidc_account where principal_id = $1",
    ] {
        tx.query(statement).bind(principal).execute().await?;
    }
    principal::void_tokens(tx, principal).await?;
    session::end_others(tx, principal, None).await
}

/// Users of a source that were not read within a span of time, longest ago first. A time of reading in the future was
/// set by a fast clock and counts as due.
///
/// # Errors
/// When the statement fails.
pub async fn due(
    reader: &mut Reader,
    source: &str,
    read: Range<Timestamp>,
    limit: i64,
) -> Result<Vec<Identity>> {
    let rows = reader
        .query(concat!(
            select!(),
            "and (i.read_at <= $2 or i.read_at > $3) order by i.read_at limit $4"
        ))
        .bind(source)
        .bind(read.start)
        .bind(read.end)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Identity::read).collect()
}

/// Users of a source that may sign in.
///
/// # Errors
/// When the statement fails.
pub async fn active(reader: &mut Reader, source: &str, limit: i64) -> Result<Vec<Identity>> {
    let rows = reader
        .query(concat!(
            select!(),
            "and i.active = 1 order by i.principal_id limit $2"
        ))
        .bind(source)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Identity::read).collect()
}

/// Stores what a directory says about a user, who may sign in.
///
/// # Errors
/// When the statement fails.
pub async fn set_found(
    tx: &mut Tx,
    identity: &Identity,
    found: Found<'_>,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update identity set dn = $2, admin = $3, active = 1, read_at = $4 where principal_id = $1",
    )
    .bind(identity.principal)
    .bind(found.dn)
    .bind(found.admin)
    .bind(now)
    .execute()
    .await?;
    if !identity.active || identity.admin != found.admin {
        tx.touch(Touch::Principal(identity.principal));
    }
    Ok(())
}

/// Records that these users were read and are unchanged.
///
/// # Errors
/// When the statement fails.
pub async fn set_read(
    tx: &mut Tx,
    principals: impl IntoIterator<Item = PrincipalId>,
    now: Timestamp,
) -> Result<()> {
    tx.query_either(
        "update identity set read_at = $2 where principal_id in (select value from json_each($1))",
        "update identity set read_at = $2
         where principal_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
    )
    .bind(json_list(principals.into_iter().map(|id| id.0)))
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Locks a user out: it may not sign in any more, its tokens are void, and its sessions end.
///
/// # Errors
/// When a statement fails.
pub async fn end(tx: &mut Tx, principal: PrincipalId, now: Timestamp) -> Result<()> {
    tx.query("update identity set active = 0, admin = 0, read_at = $2 where principal_id = $1")
        .bind(principal)
        .bind(now)
        .execute()
        .await?;
    principal::void_tokens(tx, principal).await?;
    session::end_others(tx, principal, None).await
}
