//! Logs of tasks, for those who may see them: a bounded number of lines per task. They are written in the transactions
//! of the steps that they tell of, so that a step is in the log if and only if it was done.

use model::{TaskId, Timestamp};

use crate::error::Result;
use crate::job_log::{Line, append_to};
use crate::sql::{Reader, Row, Tx};

/// Lines kept per task, the newest.
pub const LINES: i64 = 10_000;

/// Appends lines to a task's log, which keeps the newest [`LINES`].
///
/// # Errors
/// When a statement fails.
pub async fn append(tx: &mut Tx, task: TaskId, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    append_to!(tx, "task_log", "task_id", (task, lines), LINES);
    Ok(())
}

/// Lines of a task's log, oldest first: at most `limit` after the row `after`, and the row of the last one.
///
/// # Errors
/// When the statement fails.
pub async fn page(
    reader: &mut Reader,
    task: TaskId,
    (after, limit): (i64, i64),
) -> Result<(Vec<Line>, i64)> {
    let rows = reader
        .query(
            "select id, at, level, line from task_log where task_id = $1 and id > $2 order by id limit $3",
        )
        .bind(task)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Line {
            at: row.get("task_log", "at")?,
            level: row.get("task_log", "level")?,
            text: row.get("task_log", "line")?,
        })
    };
    let last = rows
        .last()
        .map(|row| row.get("task_log", "id"))
        .transpose()?;
    let lines = rows.iter().map(read).collect::<Result<_>>()?;
    Ok((lines, last.unwrap_or(after)))
}

/// Removes at most `limit` lines from before `before`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from task_log where id in (select id from task_log where at < $1 order by at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
