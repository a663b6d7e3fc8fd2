//! Logs of jobs for operators: a bounded number of lines per job.

use std::fmt;

use model::{JobId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row, Tx, stored_names};

/// Number of lines kept per job, the newest.
pub const LINES: i64 = 1_000;
/// Maximum bytes of a line; longer ones are cut.
pub const LINE_BYTES: usize = 2_000;

/// Severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Completed work.
    Info,
    /// A problem that was skipped or is retried.
    Warn,
    /// The error that ended the run.
    Error,
}

impl Level {
    /// As the database has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

stored_names! {
    Level {
        Info = "info",
        Warn = "warn",
        Error = "error",
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was logged.
    pub at: Timestamp,
    /// Its severity.
    pub level: Level,
    /// Its text.
    pub text: String,
}

impl Line {
    /// A line, cut to [`LINE_BYTES`].
    pub fn new(at: Timestamp, level: Level, mut text: String) -> Self {
        if text.len() > LINE_BYTES {
            text.truncate(text.floor_char_boundary(LINE_BYTES));
            text.push('…');
        }
        Self { at, level, text }
    }
}

/// Appends lines to the log of one owner, in a table of logs, and keeps the newest so many.
macro_rules! append_to {
    ($tx:expr, $table:literal, $owner:literal, ($id:expr, $lines:expr), $most:expr) => {{
        let rows: Vec<(i64, &str, &str)> = $lines
            .iter()
            .map(|line| (line.at.0, line.level.as_str(), &*line.text))
            .collect();
        $tx.query_either(
            concat!(
                "insert into ", $table, " (", $owner, ", at, level, line)
                 select $1, value ->> 0, value ->> 1, value ->> 2 from json_each($2) order by key"
            ),
            concat!(
                "insert into ", $table, " (", $owner, ", at, level, line)
                 select $1, cast(value ->> 0 as bigint), value ->> 1, value ->> 2
                 from json_array_elements(cast($2 as json)) with ordinality as l (value, position) order by position"
            ),
        )
        .bind($id)
        .bind(serde_json::to_string(&rows).unwrap_or_default())
        .execute()
        .await?;
        $tx.query(concat!(
            "delete from ", $table, " where ", $owner, " = $1 and id <=
                 (select id from ", $table, " where ", $owner, " = $1 order by id desc limit 1 offset $2)"
        ))
        .bind($id)
        .bind($most)
        .execute()
        .await?;
    }};
}
pub(crate) use append_to;

/// Appends lines to a job's log, which keeps the newest [`LINES`].
///
/// # Errors
/// When a statement fails.
pub async fn append(tx: &mut Tx, job: JobId, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    append_to!(tx, "job_log", "job_id", (job, lines), LINES);
    Ok(())
}

/// A job's newest lines, at most `limit`, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn list(reader: &mut Reader, job: JobId, limit: i64) -> Result<Vec<Line>> {
    let rows = reader
        .query("select at, level, line from job_log where job_id = $1 order by id desc limit $2")
        .bind(job)
        .bind(limit)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Line {
            at: row.get("job_log", "at")?,
            level: row.get("job_log", "level")?,
            text: row.get("job_log", "line")?,
        })
    };
    rows.iter().rev().map(read).collect()
}

/// Removes at most `limit` lines from before `before`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from job_log where id in (select id from job_log where at < $1 order by at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
