//! Whether the database answers, and if not, why: a pool says only that it has no connection.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection as _, Postgres};

use crate::{Backend, Db, Error, Result};

/// How long the cause is looked for where the pool has no connection.
const PATIENCE: Duration = Duration::from_secs(1);

impl Db {
    /// Asks the database for nothing.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the cause, where no connection can be had.
    pub async fn ping(&self) -> Result<()> {
        match &self.backend {
            Backend::Sqlite { .. } => {
                let mut tx = self.reader().await?;
                tx.query("select 1").one().await.map(|_| ())
            }
            Backend::Postgres(pool) => connect(pool).await,
        }
    }
}

/// A connection of the pool, or why there is none. The pool says only that its time ran out, whatever the server
/// answered to its attempts: whether the server is gone or all connections are in use, another attempt tells.
///
/// # Errors
/// [`Error::Unreachable`] where the server is gone, [`Error::Statement`] where all connections are in use.
pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    match pool.acquire().await {
        Ok(connection) => Ok(connection),
        Err(error @ sqlx::Error::PoolClosed) => Err(Error::Statement("acquire", error)),
        Err(error @ sqlx::Error::PoolTimedOut) => Err(match cause(pool).await {
            Some(cause) => gone(pool, cause),
            None => Error::Statement("acquire", error),
        }),
        Err(cause) => Err(gone(pool, cause)),
    }
}

/// Why no connection can be had; `None` where one can.
async fn cause(pool: &PgPool) -> Option<sqlx::Error> {
    let options = pool.connect_options();
    let attempt = PgConnection::connect_with(&options);
    match tokio::time::timeout(PATIENCE, attempt).await {
        Ok(attempt) => attempt.err(),
        Err(_) => Some(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

/// A connection of its own, not the pool's: under load the pool may have none, which is no failure of the server.
async fn connect(pool: &PgPool) -> Result<()> {
    let failed = |error| gone(pool, error);
    let options = pool.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    connection.ping().await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// The error that names host and port of the server.
fn gone(pool: &PgPool, cause: sqlx::Error) -> Error {
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
        assert!(crate::is_outage(&Failed(error)));
        let cut = Error::Statement("x", sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into()));
        assert!(crate::is_outage(&Failed(cut)));
        let busy = Error::Statement("acquire", sqlx::Error::PoolTimedOut);
        assert!(!crate::is_outage(&Failed(busy)));
    }
}
