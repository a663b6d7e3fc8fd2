//! A pooled connection to PostgreSQL, replaced once if the server dropped it while it was idle.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Postgres};

use crate::error::{Error, Result};

/// Time limit of a statement that is not read row by row. Without it, a silent server would block the connection for
/// ever, and in the end all of them.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to look for the cause if the pool has no connection.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to PostgreSQL. Dropping it returns it to the pool, or closes it if a statement may still be running.
pub(super) struct Pooled {
    pub(super) connection: PoolConnection<Postgres>,
    /// The pool, until the first statement has run.
    unused: Option<PgPool>,
    /// A statement or a transaction has begun and not ended.
    pub(super) busy: bool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if self.busy {
            self.connection.close_on_drop();
        }
    }
}

impl Pooled {
    pub(super) async fn acquire(pool: &PgPool) -> Result<Self> {
        Ok(Self {
            connection: acquire(pool).await?,
            unused: Some(pool.clone()),
            busy: false,
        })
    }

    /// True if the server had dropped this connection before its first statement, which failed with `error`, and a
    /// new connection stands in its place: the statement is run again.
    pub(super) async fn was_replaced(&mut self, error: Option<&sqlx::Error>) -> bool {
        let (Some(pool), Some(error)) = (self.unused.take(), error) else {
            return false;
        };
        if !is_dropped(error) {
            return false;
        }
        let options = pool.connect_options();
        let connect = Box::pin(PgConnection::connect_with(&options));
        match connect.in_time().await {
            Ok(connection) => *self.connection = connection,
            Err(_) => return false,
        }
        true
    }

    /// Begins or ends a transaction; returns the rows of its statements.
    pub(super) async fn control(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.busy = true;
        loop {
            // Not prepared, so that several statements take one round trip.
            let text = AssertSqlSafe(sql.to_owned());
            let statement = sqlx::raw_sql(text).fetch_all(&mut *self.connection);
            let ended = statement.in_time().await;
            if !self.was_replaced(ended.as_ref().err()).await {
                return ended;
            }
        }
    }
}

/// Limits a statement to [`STATEMENT_TIMEOUT`].
pub(super) trait InTime<T> {
    async fn in_time(self) -> Result<T, sqlx::Error>;
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> InTime<T> for F {
    async fn in_time(self) -> Result<T, sqlx::Error> {
        match tokio::time::timeout(STATEMENT_TIMEOUT, self).await {
            Ok(done) => done,
            Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
        }
    }
}

pub(super) fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Whether the server closed the connection, or ended its process (57P01 and its like).
fn is_dropped(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}

/// A connection of the pool, or why there is none. The pool only reports a timeout, whatever the server answered:
/// another attempt shows whether the server is down or all connections are in use.
///
/// # Errors
/// [`Error::Unreachable`] if the server is down, [`Error::Statement`] if all connections are in use.
async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    match pool.acquire().await {
        Ok(connection) => Ok(connection),
        Err(error @ sqlx::Error::PoolClosed) => Err(Error::Statement("acquire", error)),
        Err(error @ sqlx::Error::PoolTimedOut) => Err(match cause(pool).await {
            Some(cause) => unreachable(pool, cause),
            None => Error::Statement("acquire", error),
        }),
        Err(cause) => Err(unreachable(pool, cause)),
    }
}

/// Why no connection can be made; `None` if one can.
async fn cause(pool: &PgPool) -> Option<sqlx::Error> {
    let options = pool.connect_options();
    let attempt = PgConnection::connect_with(&options);
    match tokio::time::timeout(CAUSE_TIMEOUT, attempt).await {
        Ok(attempt) => attempt.err(),
        Err(_) => Some(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

/// The error that names host and port of the server.
pub(crate) fn unreachable(pool: &PgPool, cause: sqlx::Error) -> Error {
    let options = pool.connect_options();
    let place = format!("{}:{}", options.get_host(), options.get_port());
    Error::Unreachable(place, cause)
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a request failed")]
    struct Failed(#[source] Error);

    #[tokio::test]
    async fn a_server_that_is_gone_is_named_and_told_apart_from_other_failures() {
        // Nobody listens there.
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(50))
            .connect_lazy("postgres://u@127.0.0.1:1/d")
            .unwrap();
        let error = acquire(&pool).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("127.0.0.1:1"), "{error:?}");
        assert!(crate::error::is_outage(&Failed(error)));
        let cut = Error::Statement("x", sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into()));
        assert!(crate::error::is_outage(&Failed(cut)));
        let busy = Error::Statement("acquire", sqlx::Error::PoolTimedOut);
        assert!(!crate::error::is_outage(&Failed(busy)));
    }
}
