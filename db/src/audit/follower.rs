//! Followers of the audit log: those that pass its entries on to others, such as a collector. A follower is as far as it
//! has passed entries on, in the order of their ids, and never reads past an open transaction (see
//! [`super::chain::horizon`]): so it misses nothing, whatever dies. Its place moves after its entries were taken, so that
//! some may be passed on twice. A purge keeps what a follower has still to read.

use model::Timestamp;

use super::{Entry, between};
use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns follower_columns;
    /// A follower.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Follower of audit_follower {
        /// Its name.
        pub name: String = f.name,
        /// The newest entry that it has passed on.
        pub read: i64 = f.read_id,
        /// When it last passed something on.
        pub sent_at: Option<Timestamp> = f.sent_at,
        /// Failures in a row.
        pub failures: i64 = f.failures,
        /// When they began.
        pub failing_since: Option<Timestamp> = f.failing_since,
        /// When the next attempt is due.
        pub retry_at: Option<Timestamp> = f.retry_at,
        /// Why the last attempt failed.
        pub error: String = f.error,
    }
}

/// How far a follower is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Entries that it has still to pass on; at most [`MOST_COUNTED`].
    pub entries: i64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
}

impl Lag {
    /// Seconds since the oldest of these entries was written; 0 if there is none.
    pub fn seconds(&self, now: Timestamp) -> u64 {
        self.oldest.map_or(0, |oldest| now.since(oldest).as_secs())
    }
}

/// Entries that are counted at most.
pub const MOST_COUNTED: i64 = 10_000;

/// The newest id that was assigned to an entry, or to a row that counts in one order with them.
///
/// # Errors
/// When the statement fails.
pub async fn newest_id(reader: &mut Reader) -> Result<i64> {
    let row = reader
        .query_either(
            "select coalesce((select seq from sqlite_sequence where name = 'audit'), 0) as id",
            "select case when is_called then last_value else last_value - 1 end as id from audit_id_seq",
        )
        .one()
        .await?;
    row.get("audit", "id")
}

/// The follower with a name.
///
/// # Errors
/// When the statement fails.
pub async fn find(reader: &mut Reader, name: &str) -> Result<Option<Follower>> {
    let row = reader
        .query(concat!(
            "select ",
            follower_columns!(),
            " from audit_follower f where f.name = $1"
        ))
        .bind(name)
        .optional()
        .await?;
    row.as_ref().map(Follower::read).transpose()
}

/// All followers, by name.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<Follower>> {
    let rows = reader
        .query(concat!(
            "select ",
            follower_columns!(),
            " from audit_follower f order by f.name"
        ))
        .all()
        .await?;
    rows.iter().map(Follower::read).collect()
}

/// Adds a follower that begins with what is written from now on, unless it is there already.
///
/// # Errors
/// When the statement fails.
pub async fn begin(tx: &mut Tx, name: &str) -> Result<()> {
    let newest = newest_id(tx).await?;
    tx.query(
        "insert into audit_follower (name, read_id, failures, error) values ($1, $2, 0, '')
         on conflict (name) do nothing",
    )
    .bind(name)
    .bind(newest)
    .execute()
    .await?;
    Ok(())
}

/// Removes a follower; what it has not passed on, it never will.
///
/// # Errors
/// When the statement fails.
pub async fn end(tx: &mut Tx, name: &str) -> Result<()> {
    tx.query("delete from audit_follower where name = $1")
        .bind(name)
        .execute()
        .await?;
    Ok(())
}

/// Moves a follower on. `sent` is the time if something was passed on, as opposed to entries that are of no interest.
///
/// # Errors
/// When the statement fails.
pub async fn advance(tx: &mut Tx, name: &str, to: i64, sent: Option<Timestamp>) -> Result<()> {
    tx.query(
        "update audit_follower set read_id = $2, sent_at = coalesce($3, sent_at), failures = 0, failing_since = null,
             retry_at = null, error = ''
         where name = $1 and read_id <= $2",
    )
    .bind(name)
    .bind(to)
    .bind(sent)
    .execute()
    .await?;
    Ok(())
}

/// Records that an attempt failed, and when the next one is due.
///
/// # Errors
/// When the statement fails.
pub async fn fail(
    tx: &mut Tx,
    name: &str,
    error: &str,
    (now, retry_at): (Timestamp, Timestamp),
) -> Result<()> {
    tx.query(
        "update audit_follower set failures = failures + 1, failing_since = coalesce(failing_since, $3), retry_at = $4,
             error = $2
         where name = $1",
    )
    .bind(name)
    .bind(error)
    .bind(now)
    .bind(retry_at)
    .execute()
    .await?;
    Ok(())
}

/// Makes the next attempt due at once.
///
/// # Errors
/// When the statement fails.
pub async fn retry(tx: &mut Tx, name: &str) -> Result<()> {
    tx.query("update audit_follower set retry_at = null where name = $1")
        .bind(name)
        .execute()
        .await?;
    Ok(())
}

/// Entries after one and up to another, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn entries(
    reader: &mut Reader,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<Entry>> {
    between(reader, after, up_to, limit).await
}

/// How far a follower is behind.
///
/// # Errors
/// When a statement fails.
pub async fn lag(reader: &mut Reader, follower: &Follower) -> Result<Lag> {
    let row = reader
        .query(
            "select count(*) as entries, min(at) as oldest
             from (select at from audit where id > $1 order by id limit $2) as waiting",
        )
        .bind(follower.read)
        .bind(MOST_COUNTED)
        .one()
        .await?;
    Ok(Lag {
        entries: row.get("audit", "entries")?,
        oldest: row.get("audit", "oldest")?,
    })
}

/// The newest entry that every follower has passed on; `None` if there are no followers.
///
/// # Errors
/// When the statement fails.
pub async fn passed_by_all(reader: &mut Reader) -> Result<Option<i64>> {
    let row = reader
        .query("select min(read_id) as id from audit_follower")
        .one()
        .await?;
    row.get("audit_follower", "id")
}
