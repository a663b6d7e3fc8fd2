//! The data for notices, each in one short statement, and which notices principals have dismissed.

use std::collections::HashSet;

use model::{JobId, PrincipalId, ProjectId, ProjectName, RobotId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row, Tx, json_list};

/// Maximum rows of a kind for notices.
pub const MOST: i64 = 50;
/// Maximum dismissed notices of a principal: older dismissals are forgotten.
const MOST_DISMISSED: i64 = 500;

/// A robot that expires soon, or has just expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingRobot {
    /// Its id.
    pub id: RobotId,
    /// The name to sign in with.
    pub name: String,
    /// Its project; `None` for a robot of the system.
    pub project: Option<ProjectId>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Which robots to include.
#[derive(Clone, Copy, Debug)]
pub enum Robots<'a> {
    /// All.
    All,
    /// Those of some projects.
    Of(&'a [ProjectId]),
}

/// Enabled robots that expire between two times, earliest first, at most [`MOST`].
///
/// # Errors
/// When the statement fails.
pub async fn ending_robots(
    reader: &mut Reader,
    robots: Robots<'_>,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<EndingRobot>> {
    macro_rules! select {
        ($of:literal) => {
            concat!(
                "select r.id, p.name, r.project_id, r.expires_at from robot r join principal p on p.id = r.principal_id
                 where r.expires_at is not null and r.disabled = 0 and r.expires_at >= $1 and r.expires_at <= $2",
                $of,
                " order by r.expires_at, r.id limit $3"
            )
        };
    }
    let (query, ids) = match robots {
        Robots::All => (reader.query(select!("")), None),
        Robots::Of(ids) => {
            let query = reader.query_either(
                select!(" and r.project_id in (select value from json_each($4))"),
                select!(
                    " and r.project_id = any (array(select cast(json_array_elements_text(cast($4 as json)) as bigint)))"
                ),
            );
            (query, Some(json_list(ids.iter().map(|id| id.0))))
        }
    };
    let query = query.bind(from).bind(until).bind(MOST);
    let query = match ids {
        Some(ids) => query.bind(ids),
        None => query,
    };
    let read = |row: &Row| {
        Ok(EndingRobot {
            id: row.get("robot", "id")?,
            name: row.get("principal", "name")?,
            project: row.get("robot", "project_id")?,
            expires_at: row.get("robot", "expires_at")?,
        })
    };
    query.all().await?.iter().map(read).collect()
}

/// How many enabled robots expire before each of some times.
///
/// # Errors
/// When the statement fails.
pub async fn count_ending<const N: usize>(
    reader: &mut Reader,
    before: [Timestamp; N],
) -> Result<[i64; N]> {
    let mut counts = [0; N];
    for (count, before) in counts.iter_mut().zip(before) {
        let row = reader
            .query(
                "select count(*) as total from robot
                 where expires_at is not null and disabled = 0 and expires_at <= $1",
            )
            .bind(before)
            .one()
            .await?;
        *count = row.get("robot", "total")?;
    }
    Ok(counts)
}

/// A project whose quota is nearly used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Bytes that it holds.
    pub used: i64,
    /// Bytes that it may hold.
    pub limit: i64,
}

/// Projects that use at least a given percentage of their limit, at most [`MOST`], by name; among all projects, or the
/// given ones.
///
/// # Errors
/// When the statement fails.
pub async fn full_projects(
    reader: &mut Reader,
    projects: Option<&[ProjectId]>,
    percent: i64,
) -> Result<Vec<FullProject>> {
    macro_rules! select {
        ($of:literal) => {
            concat!(
                "select id, name, used, storage_limit from (
                     select p.id, p.name, p.storage_limit,
                         cast((select coalesce(sum(u.used), 0) from project_usage u where u.project_id = p.id)
                             - (select coalesce(sum(f.bytes), 0) from project_refund f where f.project_id = p.id) as bigint) as used
                     from project p where p.storage_limit >= 0 and p.deleted_at is null",
                $of,
                ") held where used > 0 and used >= storage_limit / 100 * $1 order by name limit $2"
            )
        };
    }
    let (query, ids) = match projects {
        None => (reader.query(select!("")), None),
        Some(ids) => {
            let query = reader.query_either(
                select!(" and p.id in (select value from json_each($3))"),
                select!(
                    " and p.id = any (array(select cast(json_array_elements_text(cast($3 as json)) as bigint)))"
                ),
            );
            (query, Some(json_list(ids.iter().map(|id| id.0))))
        }
    };
    let query = query.bind(percent).bind(MOST);
    let query = match ids {
        Some(ids) => query.bind(ids),
        None => query,
    };
    let read = |row: &Row| {
        Ok(FullProject {
            id: row.get("project", "id")?,
            name: row.get("project", "name")?,
            used: row.get("project", "used")?,
            limit: row.get("project", "storage_limit")?,
        })
    };
    query.all().await?.iter().map(read).collect()
}

/// A job that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedJob {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// Why its last run failed.
    pub error: String,
    /// How often it failed in a row.
    pub attempts: i64,
    /// When its last run ended.
    pub at: Timestamp,
}

/// Jobs that failed finally since a time, and standing jobs that keep failing, newest first; at most [`MOST`] each.
///
/// # Errors
/// When a statement fails.
pub async fn failed_jobs(reader: &mut Reader, since: Timestamp) -> Result<Vec<FailedJob>> {
    /// Consecutive failures from which a standing job usually recovers by itself.
    const RECOVERABLE: i64 = 3;
    let given_up = reader
        .query(
            "select id, kind, coalesce(last_error, '') as last_error, attempts, finished_at from job
             where state in ('done', 'failed', 'cancelled') and finished_at >= $1 and state = 'failed'
             order by finished_at desc limit $2",
        )
        .bind(since)
        .bind(MOST)
        .all()
        .await?;
    let failing = reader
        .query(
            "select id, kind, coalesce(last_error, '') as last_error, attempts, coalesce(finished_at, created_at) as finished_at
             from job where state in ('queued', 'running') and standing = 1 and last_error is not null and attempts > $1
             order by id limit $2",
        )
        .bind(RECOVERABLE)
        .bind(MOST)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(FailedJob {
            id: row.get("job", "id")?,
            kind: row.get("job", "kind")?,
            error: row.get("job", "last_error")?,
            attempts: row.get("job", "attempts")?,
            at: row.get("job", "finished_at")?,
        })
    };
    given_up.iter().chain(&failing).map(read).collect()
}

/// The keys of the notices that a principal has dismissed.
///
/// # Errors
/// When the statement fails.
pub async fn dismissed(reader: &mut Reader, principal: PrincipalId) -> Result<HashSet<String>> {
    let rows = reader
        .query("select notice from notice_dismissal where principal_id = $1")
        .bind(principal)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("notice_dismissal", "notice"))
        .collect()
}

/// Dismisses a notice for a principal.
///
/// # Errors
/// When a statement fails.
pub async fn dismiss(
    tx: &mut Tx,
    principal: PrincipalId,
    notice: &str,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "delete from notice_dismissal where principal_id = $1 and notice in
             (select notice from notice_dismissal where principal_id = $1 order by at desc, notice limit 1000 offset $2)",
    )
    .bind(principal)
    .bind(MOST_DISMISSED - 1)
    .execute()
    .await?;
    tx.query(
        "insert into notice_dismissal (principal_id, notice, at) values ($1, $2, $3)
         on conflict (principal_id, notice) do nothing",
    )
    .bind(principal)
    .bind(notice)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}
