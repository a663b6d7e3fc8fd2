//! What a project holds, to the byte, and how much more it may hold. Both are spread over shards: as long as there is
//! enough, a push takes from a shard that is not locked, and pushes do not wait for each other; near the limit a push
//! locks all shards and sees the sum. Refunds are recorded in rows of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use model::ProjectId;

use crate::error::{Error, Result};
use crate::sql::{Reader, Tx, json_list};
use crate::touch::Touch;

/// Shards of a project's quota: as many as two processes have connections, so that one is always free.
const SHARDS: i64 = 32;
/// Room of a shard of a project without a limit: 128 PiB.
const UNLIMITED: i64 = (1 << 57) - 1;

/// Why a project cannot take more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Bytes to be added.
    pub adding: i64,
    /// Bytes that the project holds.
    pub used: i64,
    /// Bytes that it may hold.
    pub limit: i64,
}

/// The shard at which to start looking.
pub(crate) fn next_shard() -> i64 {
    static TURN: AtomicU64 = AtomicU64::new(0);
    (TURN.fetch_add(1, Ordering::Relaxed) % SHARDS as u64) as i64
}

fn share(limit: i64) -> i64 {
    if limit < 0 { UNLIMITED } else { limit / SHARDS }
}

/// Makes the shards of a new project.
pub(crate) async fn create(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<()> {
    let share = share(limit);
    let first = if limit < 0 {
        share
    } else {
        limit - share * (SHARDS - 1)
    };
    tx.query_either(
        "insert into project_usage (project_id, shard, used, room)
         with recursive shards (shard) as (select 0 union all select shard + 1 from shards where shard < $4)
         select $1, shard, 0, case shard when 0 then $2 else $3 end from shards",
        "insert into project_usage (project_id, shard, used, room)
         select $1, shard, 0, case shard when 0 then $2 else $3 end from generate_series(0, $4) as s (shard)",
    )
    .bind(project)
    .bind(first)
    .bind(share)
    .bind(SHARDS - 1)
    .execute()
    .await?;
    Ok(())
}

/// How a transaction takes from the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taking {
    /// From one shard, in parallel with others.
    #[default]
    Shared,
    /// With all shards locked since its first statement ([`hold`]).
    Alone,
}

/// Adds bytes to what a project holds; returns the excess if that would be too much.
///
/// # Errors
/// [`Error::Crowded`] if no shard had that much: the transaction must be restarted with [`Taking::Alone`]. It holds
/// locks that others wait for, so it must not wait for the shards itself.
pub async fn charge(
    tx: &mut Tx,
    project: ProjectId,
    bytes: i64,
    taking: Taking,
) -> Result<Result<(), OverLimit>> {
    if bytes <= 0 {
        refund(tx, project, -bytes).await?;
        return Ok(Ok(()));
    }
    if taking == Taking::Alone {
        return charge_alone(tx, project, bytes).await;
    }
    let taken = tx
        .query_either(
            "update project_usage set used = used + $2, room = room - $2
             where project_id = $1 and shard = $3 and room >= $2 returning shard",
            "with free as (select shard from project_usage where project_id = $1 and room >= $2
                           order by (shard + $3) % 32 limit 1 for update skip locked)
             update project_usage u set used = used + $2, room = room - $2
             from free where u.project_id = $1 and u.shard = free.shard returning u.shard",
        )
        .bind(project)
        .bind(bytes)
        .bind(next_shard())
        .optional()
        .await?;
    match taken {
        Some(_) => Ok(Ok(())),
        None => crowded(tx, project, bytes).await,
    }
}

/// No shard had enough. SQLite's only writer may read all of them at any time.
pub(crate) async fn crowded(
    tx: &mut Tx,
    project: ProjectId,
    bytes: i64,
) -> Result<Result<(), OverLimit>> {
    if tx.is_postgres() {
        return Err(Error::Crowded);
    }
    charge_alone(tx, project, bytes).await
}

async fn charge_alone(
    tx: &mut Tx,
    project: ProjectId,
    bytes: i64,
) -> Result<Result<(), OverLimit>> {
    let (used, room) = hold(tx, project).await?;
    if room < bytes {
        return Ok(Err(OverLimit {
            adding: bytes,
            used,
            limit: used + room,
        }));
    }
    spread(tx, project, room - bytes, used + bytes).await?;
    Ok(Ok(()))
}

/// Locks all shards until the transaction ends, adds refunds, and returns what is used and what is left. Must be the
/// first statement of a transaction.
///
/// # Errors
/// When a statement fails.
pub async fn hold(tx: &mut Tx, project: ProjectId) -> Result<(i64, i64)> {
    let (used, room) = lock(tx, project).await?;
    let refunds = tx
        .query("delete from project_refund where project_id = $1 returning bytes")
        .bind(project)
        .all()
        .await?;
    let mut refunded = 0;
    for row in &refunds {
        refunded += row.get::<i64>("project_refund", "bytes")?;
    }
    if refunded != 0 {
        spread(tx, project, room + refunded, used - refunded).await?;
    }
    Ok((used - refunded, room + refunded))
}

/// Projects whose refunds wait to be added by [`hold`], at most `limit`.
///
/// # Errors
/// When a statement fails.
pub async fn waiting(reader: &mut Reader, limit: i64) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query("select distinct project_id from project_refund order by project_id limit $1")
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("project_refund", "project_id"))
        .collect()
}

/// Bytes used and bytes left, with all shards locked until the transaction ends.
async fn lock(tx: &mut Tx, project: ProjectId) -> Result<(i64, i64)> {
    let rows = tx
        .query_either(
            "select used, room from project_usage where project_id = $1 order by shard",
            "select used, room from project_usage where project_id = $1 order by shard for update",
        )
        .bind(project)
        .all()
        .await?;
    let (mut used, mut room) = (0, 0);
    for row in &rows {
        used += row.get::<i64>("project_usage", "used")?;
        room += row.get::<i64>("project_usage", "room")?;
    }
    Ok((used, room))
}

/// Spreads what is left over the shards.
async fn spread(tx: &mut Tx, project: ProjectId, room: i64, used: i64) -> Result<()> {
    // A deficit is stored in the first shard.
    let share = if room < 0 { 0 } else { room / SHARDS };
    tx.query(
        "update project_usage set room = case when shard = 0 then $2 else $3 end,
         used = case when shard = 0 then $4 else 0 end where project_id = $1",
    )
    .bind(project)
    .bind(room - share * (SHARDS - 1))
    .bind(share)
    .bind(used)
    .execute()
    .await?;
    Ok(())
}

/// Refunds bytes that a project no longer holds.
///
/// # Errors
/// When the statement fails.
pub async fn refund(tx: &mut Tx, project: ProjectId, bytes: i64) -> Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    tx.query("insert into project_refund (project_id, bytes) values ($1, $2)")
        .bind(project)
        .bind(bytes)
        .execute()
        .await?;
    Ok(())
}

/// Sets how much a project may hold; -1 for no limit. It may be less than it holds.
///
/// # Errors
/// When a statement fails.
pub async fn set_limit(tx: &mut Tx, project: ProjectId, limit: i64) -> Result<()> {
    let (used, _) = hold(tx, project).await?;
    let room = if limit < 0 {
        UNLIMITED * SHARDS
    } else {
        limit - used
    };
    spread(tx, project, room, used).await?;
    let named = tx
        .query("update project set storage_limit = $2 where id = $1 and deleted_at is null returning name")
        .bind(project)
        .bind(limit)
        .optional()
        .await?;
    if let Some(row) = named {
        tx.touch(Touch::Project(row.get("project", "name")?));
    }
    Ok(())
}

/// Bytes that a project holds, and that uploads into it have reserved.
///
/// # Errors
/// When the statement fails.
pub async fn used(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    Ok(sums(reader, project).await?.0)
}

/// As [`used`], of several projects at once.
///
/// # Errors
/// When the statement fails.
pub async fn used_by(
    reader: &mut Reader,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, i64>> {
    let rows = reader
        .query_either(
            "select project_id, cast(sum(bytes) as bigint) as used from
             (select project_id, used as bytes from project_usage union all select project_id, -bytes from project_refund) held
             where project_id in (select value from json_each($1)) group by project_id",
            "select project_id, cast(sum(bytes) as bigint) as used from
             (select project_id, used as bytes from project_usage union all select project_id, -bytes from project_refund) held
             where project_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) group by project_id",
        )
        .bind(json_list(projects.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.get("project_usage", "project_id")?,
                row.get("project_usage", "used")?,
            ))
        })
        .collect()
}

/// Bytes that all projects hold together.
///
/// # Errors
/// When the statement fails.
pub async fn used_in_all(reader: &mut Reader) -> Result<i64> {
    let row = reader.query(
        "select cast(coalesce(sum(bytes), 0) as bigint) as used from
         (select used as bytes from project_usage union all select -bytes from project_refund) held",
    );
    row.one().await?.get("project_usage", "used")
}

/// Bytes that open upload sessions have reserved.
///
/// # Errors
/// When the statement fails.
pub async fn reserved(reader: &mut Reader, project: ProjectId) -> Result<i64> {
    let row = reader
        .query(
            "select cast(coalesce(sum(reserved), 0) as bigint) as reserved from upload
             where project_id = $1 and state = 'open'",
        )
        .bind(project)
        .one()
        .await?;
    row.get("upload", "reserved")
}

/// The excess of a project that is already above its limit, which prevents a push.
///
/// # Errors
/// When the statement fails.
pub async fn exceeded(reader: &mut Reader, project: ProjectId) -> Result<Option<OverLimit>> {
    let (used, room) = sums(reader, project).await?;
    Ok((room < 0).then_some(OverLimit {
        adding: 0,
        used,
        limit: used + room,
    }))
}

async fn sums(reader: &mut Reader, project: ProjectId) -> Result<(i64, i64)> {
    let row = reader
        .query(
            "select cast(coalesce(sum(used), 0) - r.bytes as bigint) as used,
                    cast(coalesce(sum(room), 0) + r.bytes as bigint) as room
             from (select coalesce(sum(bytes), 0) as bytes from project_refund where project_id = $1) r
             left join project_usage u on u.project_id = $1 group by r.bytes",
        )
        .bind(project)
        .one()
        .await?;
    Ok((
        row.get("project_usage", "used")?,
        row.get("project_usage", "room")?,
    ))
}
