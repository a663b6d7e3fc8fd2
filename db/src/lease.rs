//! Who does what only one process may do at a time.

use model::Timestamp;

use crate::{Result, Tx};

/// Takes a lease, or renews it. `false` while another holder has it.
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
             where lease.holder = excluded.holder or lease.until < $3",
        )
        .bind(name)
        .bind(holder)
        .bind(now)
        .bind(until)
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
