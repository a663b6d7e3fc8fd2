//! Errors of the database.

use std::sync::Arc;

use sqlx::migrate::MigrateError;

/// Errors of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("cannot open the database {0}")]
    Open(String, #[source] sqlx::Error),
    /// The server does not answer, or refuses connections: every request fails until it is back.
    #[error("cannot reach the database at {0}")]
    Unreachable(String, #[source] sqlx::Error),
    /// The file can be read but not written.
    #[error(
        "cannot write the database {0}: let its user be the one who runs this, as with `chown --reference=FOLDER {0}*`"
    )]
    ReadOnly(String, #[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] MigrateError),
    /// Newer processes have changed the schema incompatibly.
    #[error(
        "the database's schema is version {schema}, beside which only versions of Gantry run that know schema {least}; \
         this one knows schema {known}: start the version that changed the schema or a newer one, or restore a backup \
         from before the upgrade"
    )]
    Outdated {
        /// The schema's version.
        schema: i64,
        /// The minimum version that a process must know.
        least: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A statement failed, or there was no connection.
    #[error("cannot run the statement {0:?}")]
    Statement(&'static str, #[source] sqlx::Error),
    /// A statement that a list needs took too long.
    #[error("the statement {0:?} took too long and was stopped")]
    Stopped(&'static str, #[source] sqlx::Error),
    /// A pooler in front of PostgreSQL gave the connection's prepared statements to others.
    #[error(
        "the pooler in front of PostgreSQL loses prepared statements: set pool_mode = session, or, for \
         pool_mode = transaction, use PgBouncer 1.21 or newer with max_prepared_statements = 200"
    )]
    Pooler(#[source] sqlx::Error),
    /// A unique value is taken.
    #[error("the value is taken already")]
    Duplicate(#[source] sqlx::Error),
    /// A row has a value that no version of this program writes.
    #[error("the database holds an invalid {table}.{column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Rows that a job skipped, because they have values that no version of this program writes.
    #[error("{count} rows cannot be understood and were passed over, such as: {first}")]
    PassedOver {
        /// How many.
        count: u64,
        /// The first of them, and what is wrong.
        first: String,
    },
    /// No shard of a project's quota had enough for a push.
    #[error("the project is near its limit: the transaction must run alone")]
    Crowded,
    /// The user who would own a project was deleted.
    #[error("the owner does not exist any more")]
    OwnerGone,
    /// The project of the transaction was deleted.
    #[error("the project does not exist any more")]
    ProjectGone,
    /// The upload was taken over, or has ended.
    #[error("the upload is another's now, or over")]
    UploadGone,
    /// A job wrote after another process had taken it.
    #[error("another process has taken over the job")]
    Fenced,
    /// Others changed the same row each time it was read.
    #[error("{0} is busy: try again")]
    Contended(&'static str),
    /// The commit failed; the transaction left no changes.
    #[error("cannot commit: {0}")]
    Commit(Arc<sqlx::Error>),
    /// A seal of the audit log is not valid.
    #[error(
        "seal {0} of the audit log does not hold: look at what `gantry audit verify` finds, nothing is purged until then"
    )]
    ChainBroken(i64),
    /// Another process holds SQLite's write lock for too long.
    #[error("another process is writing to the database: try again when it has ended")]
    Busy(#[source] sqlx::Error),
    /// The writer has stopped, because the process is ending or a statement panicked.
    #[error("the database writer is gone")]
    WriterGone,
}

impl Error {
    /// Whether the transaction conflicted with others and may be run again: deadlocks, lock timeouts, serialization
    /// failures, and rows that were deleted while others began to refer to them.
    pub fn is_collision(&self) -> bool {
        let error = match self {
            Self::Contended(_) => return true,
            Self::Statement(_, error) | Self::Duplicate(error) => error,
            Self::Commit(error) => &**error,
            _ => return false,
        };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["40P01", "40001", "55P03", "23503"].contains(&&*code))
    }
}

/// Whether an error, or one of its causes, is the loss of the database server. The health check logs that once, so that
/// each request need not.
pub fn is_outage(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref())
        .any(|error| {
            matches!(
                error,
                Error::Unreachable(..) | Error::Statement(_, sqlx::Error::Io(_))
            )
        })
}

/// SQLite's primary code of an error.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.map(|code| code & 0xff)
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contention_is_a_collision_and_no_damage() {
        assert!(Error::Contended("the blob").is_collision());
        let damage = Error::Corrupt {
            table: "blob",
            column: "size",
        };
        assert!(!damage.is_collision());
        assert!(!Error::WriterGone.is_collision());
    }
}
