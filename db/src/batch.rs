//! Batches of counters and events: if the answer to a commit is lost, a batch is written again under the same id, and
//! counts once.

use model::Timestamp;

use crate::error::Result;
use crate::sql::Tx;

/// How long a batch is remembered: far longer than one is retried.
const KEPT: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// Returns true if a batch was not written before, and records it.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn is_new(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool> {
    let added = tx
        .query("insert into written_batch (id, at) values ($1, $2) on conflict (id) do nothing")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    tx.query("delete from written_batch where at < $1")
        .bind(Timestamp(now.0 - KEPT.as_micros() as i64))
        .execute()
        .await?;
    Ok(added == 1)
}
