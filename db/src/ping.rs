//! Whether the database answers, and if not, why: a pool says only that it has no connection.

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
    /// [`Error::Open`] with the cause, where no connection can be had.
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
/// answered to its attempts.
pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    match pool.acquire().await {
        Err(sqlx::Error::PoolTimedOut) => {
            let options = pool.connect_options();
            let attempt = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options));
            match attempt.await {
                Ok(Err(cause)) => Err(cause),
                _ => Err(sqlx::Error::PoolTimedOut),
            }
        }
        acquired => acquired,
    }
}

/// A connection of its own, not the pool's: under load the pool may have none, which is no failure of the server.
async fn connect(pool: &PgPool) -> Result<()> {
    let options = pool.connect_options();
    let failed = |error| {
        let place = format!("at {}:{}", options.get_host(), options.get_port());
        Error::Open(place, error)
    };
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    connection.ping().await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
