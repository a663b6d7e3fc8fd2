//! One process changes the schema of PostgreSQL at a time.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Schema, migrate};
use crate::error::{Error, Result};

/// How often a waiting process checks whether the other has finished.
const WAIT: Duration = Duration::from_millis(100);

/// Brings the schema up to date while no other process does. The lock belongs to a transaction, not to a session, which
/// a pooler may give to others. A waiting process runs no statement meanwhile, since an index that is built
/// concurrently would wait for it.
pub(crate) async fn migrate_alone(options: &PgConnectOptions, schema: &Schema) -> Result<()> {
    let failed = |error| Error::Statement("migrate", error);
    let mut turn = options.connect().await.map_err(failed)?;
    let begin = "begin isolation level read committed";
    let mut held = turn.begin_with(begin).await.map_err(failed)?;
    while !take(&mut held).await.map_err(failed)? {
        tokio::time::sleep(WAIT).await;
    }
    let mut connection = options.connect().await.map_err(failed)?;
    migrate(schema, &mut connection).await?;
    connection.close().await.map_err(failed)?;
    held.commit().await.map_err(failed)?;
    turn.close().await.map_err(failed)
}

/// Whether the transaction got the lock.
async fn take(held: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query_scalar("select pg_try_advisory_xact_lock(7100)");
    taken.persistent(false).fetch_one(held).await
}
