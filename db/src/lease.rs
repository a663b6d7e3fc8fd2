//! Who does what only one process may do at a time.

use model::Timestamp;

use crate::error::Result;
use crate::sql::{Reader, Tx};

/// The latest end that a lease may have which was taken for as long as from `now` to `until`: clocks differ a little.
/// One that ends later was taken by a clock that was wrong, and counts as over.
const fn latest_end((now, until): (Timestamp, Timestamp)) -> Timestamp {
    Timestamp(until.0 + (until.0 - now.0))
}

/// Who holds a lease now, and until when; whoever takes it now holds it until `until`.
///
/// # Errors
/// When the statement fails.
pub async fn holder(
    reader: &mut Reader,
    name: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<Option<(String, Timestamp)>> {
    let row = reader
        .query("select holder, until from lease where name = $1 and until >= $2 and until <= $3")
        .bind(name)
        .bind(now)
        .bind(latest_end((now, until)))
        .optional()
        .await?;
    row.map(|row| Ok((row.get("lease", "holder")?, row.get("lease", "until")?)))
        .transpose()
}

/// A turn at what processes should not do at the same time, until the transaction ends: whether it was free.
/// One that is not given soon is waited for.
///
/// # Errors
/// When the statement fails.
pub async fn turn(tx: &mut Tx, patience: Patience) -> Result<bool> {
    if !tx.is_postgres() {
        return Ok(true);
    }
    let sql = match patience {
        Patience::None => "select cast(pg_try_advisory_xact_lock(7102) as int)::bigint as taken",
        Patience::Endless => "select 1::bigint as taken from pg_advisory_xact_lock(7102)",
    };
    tx.query(sql).one().await?.get("lease", "taken")
}

/// Whether a [`turn`] is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It is not.
    None,
    /// It is.
    Endless,
}

/// Takes a lease, or renews it. `false` while another holder has it. All leases of a name are equally long.
///
/// # Errors
/// When the statement fails.
pub async fn take(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool> {
    let taken = tx
        .query(
            "insert into lease (name, holder, until) values ($1, $2, $4)
             on conflict (name) do update set holder = excluded.holder, until = excluded.until
             where lease.holder = excluded.holder or lease.until < $3 or lease.until > $5",
        )
        .bind(name)
        .bind(holder)
        .bind(now)
        .bind(until)
        .bind(latest_end((now, until)))
        .execute()
        .await?;
    Ok(taken == 1)
}

/// Gives all leases of a holder back.
///
/// # Errors
/// When the statement fails.
pub async fn give_back(tx: &mut Tx, holder: &str) -> Result<()> {
    tx.query("delete from lease where holder = $1")
        .bind(holder)
        .execute()
        .await?;
    Ok(())
}
