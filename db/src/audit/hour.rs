//! Pulls and pushes of artifacts by hour, for statistics: counted once, from sealed entries, in the order of the log. So no
//! push waits for a counter, every entry counts once, and a purge takes nothing from them. Entries that are not counted
//! yet are read besides.

use model::Timestamp;

use super::series::Point;
use crate::error::Result;
use crate::sql::{Reader, Tx};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// Entries to count per transaction.
const BATCH: i64 = 5_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Pulls of artifacts.
    Pulls,
    /// Pushes of artifacts.
    Pushes,
}

impl Counted {
    const fn operation(self) -> &'static str {
        match self {
            Self::Pulls => "pull",
            Self::Pushes => "create",
        }
    }
}

/// Whether there are sealed entries that are not counted.
///
/// # Errors
/// When the statement fails.
pub async fn is_waiting(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .query(
            "select case when coalesce((select max(last_id) from audit_seal), 0)
                 > coalesce((select max(audit_id) from stat_mark), 0) then 1 else 0 end as waiting",
        )
        .one()
        .await?;
    row.get("stat_mark", "waiting")
}

/// Counts sealed entries, at most [`BATCH`] of them; whether there were any.
///
/// # Errors
/// When a statement fails.
pub async fn count(tx: &mut Tx) -> Result<bool> {
    tx.query_either(
        "select 1 as locked",
        "select 1 as locked from pg_advisory_xact_lock(7109)",
    )
    .one()
    .await?;
    let row = tx
        .query("select coalesce(max(audit_id), 0) as mark from stat_mark")
        .one()
        .await?;
    let mark: i64 = row.get("stat_mark", "mark")?;
    let row = tx
        .query(
            "select coalesce(max(id), 0) as last from (select id from audit where id > $1
                 and id <= coalesce((select max(last_id) from audit_seal), 0) order by id limit $2) batch",
        )
        .bind(mark)
        .bind(BATCH)
        .one()
        .await?;
    let mut last: i64 = row.get("audit", "last")?;
    if last == 0 {
        // What was sealed was purged: there is nothing to count.
        let row = tx
            .query("select coalesce(max(last_id), 0) as last from audit_seal")
            .one()
            .await?;
        last = row.get("audit_seal", "last")?;
    }
    if last <= mark {
        return Ok(false);
    }
    tx.query(
        "insert into stat_hour (project_id, hour, pulls, pushes, refused_pulls, refused_pushes)
         select coalesce(project_id, 0), (at / $3) * $3,
             cast(sum(case when operation = 'pull' and success = 1 then times else 0 end) as bigint),
             cast(sum(case when operation = 'create' and success = 1 then times else 0 end) as bigint),
             cast(sum(case when operation = 'pull' and success = 0 then times else 0 end) as bigint),
             cast(sum(case when operation = 'create' and success = 0 then times else 0 end) as bigint)
         from audit where id > $1 and id <= $2
             and (operation = 'pull' or operation = 'create' and resource_type = 'artifact')
         group by 1, 2 order by 1, 2
         on conflict (project_id, hour) do update set pulls = stat_hour.pulls + excluded.pulls,
             pushes = stat_hour.pushes + excluded.pushes,
             refused_pulls = stat_hour.refused_pulls + excluded.refused_pulls,
             refused_pushes = stat_hour.refused_pushes + excluded.refused_pushes",
    )
    .bind(mark)
    .bind(last)
    .bind(HOUR)
    .execute()
    .await?;
    tx.query(
        "insert into stat_mark (id, audit_id) values (1, $1)
         on conflict (id) do update set audit_id = excluded.audit_id",
    )
    .bind(last)
    .execute()
    .await?;
    Ok(true)
}

/// What was counted in all projects between two times, by spans of `step` microseconds, which are whole hours; oldest
/// first, without empty ones.
///
/// # Errors
/// When the statement fails.
pub async fn points(
    reader: &mut Reader,
    counted: Counted,
    (from, to): (Timestamp, Timestamp),
    step: i64,
) -> Result<Vec<Point>> {
    let rows = reader
        .query(
            "select since, cast(sum(done) as bigint) as done, cast(sum(refused) as bigint) as refused from (
                 select (hour / $4) * $4 as since, case when $1 = 'pull' then pulls else pushes end as done,
                     case when $1 = 'pull' then refused_pulls else refused_pushes end as refused
                 from stat_hour where hour >= $2 and hour < $3
                 union all
                 select (at / $4) * $4, case when success = 1 then times else 0 end,
                     case when success = 1 then 0 else times end
                 from audit where id > coalesce((select max(audit_id) from stat_mark), 0)
                     and at >= $2 and at < $3 and operation = $1
                     and (operation = 'pull' or resource_type = 'artifact')) counted
             group by since having sum(done) + sum(refused) > 0 order by since",
        )
        .bind(counted.operation())
        .bind(from)
        .bind(to)
        .bind(step)
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Point {
                since: row.get("stat_hour", "since")?,
                done: row.get("stat_hour", "done")?,
                refused: row.get("stat_hour", "refused")?,
            })
        })
        .collect()
}
