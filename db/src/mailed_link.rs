//! Mailed links: opening one proves access to the address. Only the hash of a link's token is stored.

use model::{PrincipalId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row, stored_names};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It verifies the address.
    Verify,
    /// It sets a new password.
    Reset,
}

stored_names! {
    Purpose {
        Verify = "verify",
        Reset = "reset",
    }
}

row! {
    columns mailed_link_columns;
    /// A link as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MailedLink of mailed_link {
        /// Whose account it is for.
        pub principal: PrincipalId = l.principal_id,
        /// What it is for.
        pub purpose: Purpose = l.purpose,
        /// The address that it was sent to.
        pub email: String = l.email,
        /// The principal's generation when it was made.
        pub generation: i64 = l.generation,
        /// When it stops working.
        pub expires_at: Timestamp = l.expires_at,
    }
}

/// Stores a link.
///
/// # Errors
/// When the statement fails.
pub async fn put(
    tx: &mut Tx,
    (hash, link): (&[u8; 32], &MailedLink),
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into mailed_link (hash, principal_id, purpose, email, generation, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&hash[..])
    .bind(link.principal)
    .bind(link.purpose)
    .bind(link.email.as_str())
    .bind(link.generation)
    .bind(now)
    .bind(link.expires_at)
    .execute()
    .await?;
    Ok(())
}

/// The link of a hash, unless it has expired.
///
/// # Errors
/// When the statement fails.
pub async fn by_hash(
    reader: &mut Reader,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<MailedLink>> {
    let row = reader
        .query(concat!(
            "select ",
            mailed_link_columns!(),
            " from mailed_link l where l.hash = $1 and l.expires_at > $2"
        ))
        .bind(&hash[..])
        .bind(now)
        .optional()
        .await?;
    row.as_ref().map(MailedLink::read).transpose()
}

/// Removes the link of a hash. Returns whether it existed: if several use a link at once, only one gets true.
///
/// # Errors
/// When the statement fails.
pub async fn take(tx: &mut Tx, hash: &[u8; 32]) -> Result<bool> {
    let taken = tx
        .query("delete from mailed_link where hash = $1")
        .bind(&hash[..])
        .execute()
        .await?;
    Ok(taken == 1)
}

/// How many links for a purpose were made for a principal since a time.
///
/// # Errors
/// When the statement fails.
pub async fn count_since(
    reader: &mut Reader,
    (principal, purpose): (PrincipalId, Purpose),
    since: Timestamp,
) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as made from mailed_link
             where principal_id = $1 and purpose = $2 and created_at >= $3",
        )
        .bind(principal)
        .bind(purpose)
        .bind(since)
        .one()
        .await?;
    row.get("mailed_link", "made")
}

/// Removes all links of a principal.
///
/// # Errors
/// When the statement fails.
pub async fn remove_all(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.query("delete from mailed_link where principal_id = $1")
        .bind(principal)
        .execute()
        .await?;
    Ok(())
}

/// Removes expired links, at most `limit`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from mailed_link where id in
             (select id from mailed_link where expires_at <= $1 order by expires_at limit $2)",
    )
    .bind(now)
    .bind(limit)
    .execute()
    .await
}
