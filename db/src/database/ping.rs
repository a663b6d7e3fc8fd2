//! Whether the database answers.

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool};

use super::{Backend, Db};
use crate::error::Result;
use crate::sql::unreachable;

impl Db {
    /// Runs an empty query.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the cause, if there is no connection.
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

/// A connection of its own, not the pool's: under load the pool may have none, which is not a failure of the server.
async fn connect(pool: &PgPool) -> Result<()> {
    let failed = |error| unreachable(pool, error);
    let options = pool.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    connection.ping().await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
