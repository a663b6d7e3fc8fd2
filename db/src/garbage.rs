//! Objects that no row needs any more. A transaction that gives one up records it here, so that it is deleted whatever
//! happens to the process; a failed deletion is retried, less and less often.

use std::time::Duration;

use model::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::sql::{Reader, Row, Tx};

/// An object to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Its key.
    pub key: String,
    /// How many bytes it has, as far as that is known.
    pub size: u64,
    /// Whether it was never finished: parts of it may lie elsewhere in the store.
    pub unfinished: bool,
}

impl Garbage {
    /// The object of a session that did not become a blob.
    pub fn of_upload(key: String) -> Self {
        Self {
            key,
            size: 0,
            unfinished: true,
        }
    }
}

/// The first delay before a deletion is retried; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest delay.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// No row needs the object after all.
macro_rules! unneeded {
    () => {
        " and not exists (select 1 from blob b where b.object_key = g.object_key)
          and not exists (select 1 from upload u where u.object_key = g.object_key and u.state = 'open')"
    };
}

pub(crate) use unneeded;

fn json<T: Serialize>(of: &[T]) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

/// Gives objects up, to be deleted when `due`; one that was given up for a later time keeps that time.
///
/// # Errors
/// When the statement fails.
pub async fn add(tx: &mut Tx, objects: &[Garbage], due: Timestamp) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    tx.query_either(
        "insert into object_garbage (object_key, size, unfinished, due_at, attempts)
         select value ->> 'key', value ->> 'size', value ->> 'unfinished', $2, 0 from json_each($1) where true
         on conflict (object_key) do update set due_at = max(due_at, excluded.due_at), size = max(size, excluded.size)",
        "insert into object_garbage (object_key, size, unfinished, due_at, attempts)
         select key, size, cast(unfinished as int), $2, 0
         from json_to_recordset(cast($1 as json)) as g (key text, size bigint, unfinished boolean)
         order by key on conflict (object_key) do update
         set due_at = greatest(object_garbage.due_at, excluded.due_at), size = greatest(object_garbage.size, excluded.size)",
    )
    .bind(json(objects))
    .bind(due)
    .execute()
    .await?;
    Ok(())
}

/// Due objects, at most `limit`. One that a row needs after all is never included.
///
/// # Errors
/// When the statement fails.
pub async fn due(reader: &mut Reader, now: Timestamp, limit: i64) -> Result<Vec<Garbage>> {
    let rows = reader
        .query(concat!(
            "select g.object_key, g.size, g.unfinished from object_garbage g where g.due_at <= $1",
            unneeded!(),
            " order by g.due_at, g.object_key limit $2"
        ))
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// Objects in the order of their keys, due or not, after `after`, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn walk(reader: &mut Reader, after: &str, limit: i64) -> Result<Vec<Garbage>> {
    let rows = reader
        .query(concat!(
            "select g.object_key, g.size, g.unfinished from object_garbage g where g.object_key > $1",
            unneeded!(),
            " order by g.object_key limit $2"
        ))
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// Whether an object still waits to be deleted.
///
/// # Errors
/// When the statement fails.
pub async fn waits(reader: &mut Reader, key: &str) -> Result<bool> {
    let row = reader
        .query("select 1 from object_garbage where object_key = $1")
        .bind(key)
        .optional()
        .await?;
    Ok(row.is_some())
}

fn read(row: &Row) -> Result<Garbage> {
    Ok(Garbage {
        key: row.get("object_garbage", "object_key")?,
        size: row.get("object_garbage", "size")?,
        unfinished: row.get("object_garbage", "unfinished")?,
    })
}

/// Removes the records of deleted objects.
///
/// # Errors
/// When the statement fails.
pub async fn forget(tx: &mut Tx, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    tx.query_either(
        "delete from object_garbage where object_key in (select value from json_each($1))",
        "delete from object_garbage where object_key in (select json_array_elements_text(cast($1 as json)))",
    )
    .bind(json(keys))
    .execute()
    .await?;
    Ok(())
}

/// Postpones a failed deletion of an object.
///
/// # Errors
/// When the statement fails.
pub async fn put_off(tx: &mut Tx, key: &str, error: &str, now: Timestamp) -> Result<()> {
    let attempts = tx
        .query("update object_garbage set attempts = attempts + 1, last_error = $2 where object_key = $1 returning attempts")
        .bind(key)
        .bind(error)
        .optional()
        .await?;
    let Some(row) = attempts else { return Ok(()) };
    let wait = wait_after(row.get("object_garbage", "attempts")?);
    tx.query("update object_garbage set due_at = $2 where object_key = $1")
        .bind(key)
        .bind(now.plus(wait))
        .execute()
        .await?;
    Ok(())
}

fn wait_after(attempts: i64) -> Duration {
    let doublings = attempts.clamp(1, 20) as u32 - 1;
    FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_WAIT)
}

/// Objects that wait to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Objects.
    pub objects: i64,
    /// Bytes of those, as far as they are known.
    pub bytes: i64,
    /// Objects whose deletion failed.
    pub failing: i64,
    /// Why the deletion of one of those failed.
    pub error: Option<String>,
}

/// Counts the waiting objects.
///
/// # Errors
/// When the statement fails.
pub async fn waiting(reader: &mut Reader) -> Result<Waiting> {
    let row = reader
        .query(
            "select count(*) as objects, cast(coalesce(sum(size), 0) as bigint) as bytes,
                    count(last_error) as failing, max(last_error) as error from object_garbage",
        )
        .one()
        .await?;
    Ok(Waiting {
        objects: row.get("object_garbage", "objects")?,
        bytes: row.get("object_garbage", "bytes")?,
        failing: row.get("object_garbage", "failing")?,
        error: row.get("object_garbage", "error")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_deletion_is_tried_ever_less_often() {
        let waits = [1, 2, 3, 100].map(|attempts| wait_after(attempts).as_secs());
        assert_eq!(waits, [10, 20, 40, 6 * 3_600]);
    }
}
