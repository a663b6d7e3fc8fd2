//! Opens SQLite: one connection that writes, and a pool of readers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Executor as _, Sqlite};

use super::Backend;
use crate::cache::Caches;
use crate::error::{Error, Result, sqlite_code};
use crate::schema;
use crate::writer::Writer;

/// Connections for reading.
const READERS: u32 = 4;
/// Additional connections for the REST API and lists: more than there are turns for lists, so that lists cannot make
/// others wait.
const LISTERS: u32 = 6;
/// How long a connection for lists may read before it is returned.
pub(super) const LONGEST_READ: Duration = Duration::from_secs(10);
/// Steps of SQLite's virtual machine between two checks of the time: about a tenth of a millisecond.
const STEPS: i32 = 10_000;
/// How long a statement waits for a connection or for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the file, created if absent, and starts its writer.
pub(super) async fn open(path: &Path) -> Result<(Backend, Arc<Caches>)> {
    let shown = path.display().to_string();
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("cache_size", "-2048")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(128)
        .disable_statement_logging();
    let failed = |error| Error::Open(shown.clone(), error);
    let mut connection = options.connect().await.map_err(failed)?;
    // SQLite opens a file that it cannot write for reading only, and fails at the first change.
    match connection
        .execute("begin immediate; pragma user_version = 0; rollback")
        .await
    {
        Err(error) if is_read_only(&error) => return Err(Error::ReadOnly(shown, error)),
        // The next statement waits for the current writer.
        Err(_) => drop(connection.execute("rollback").await),
        Ok(_) => {}
    }
    schema::migrate(&schema::SQLITE, &mut connection).await?;
    let options = options.read_only(true).create_if_missing(false);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone())
    };
    let (readers, listers) = (pool(READERS), pool(LISTERS));
    let caches = Arc::new(Caches::alone());
    let writer = Writer::start(connection, caches.clone());
    let backend = Backend::Sqlite {
        writer,
        readers,
        listers,
    };
    Ok((backend, caches))
}

/// A connection whose statements are stopped after a time. SQLite has no such limit, but asks regularly whether to
/// continue.
pub(super) async fn acquire_for(
    pool: &SqlitePool,
    time: Duration,
) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let end = Instant::now() + time;
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(STEPS, move || Instant::now() < end);
    drop(handle);
    Ok(connection)
}

/// Whether SQLite may not write its file: SQLITE_READONLY and its extended codes.
fn is_read_only(error: &sqlx::Error) -> bool {
    const READ_ONLY: i32 = 8;
    sqlite_code(error) == Some(READ_ONLY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Reader;
    use crate::{Db, Location};

    /// It reads more rows than anyone would wait for.
    const ENDLESS: &str =
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000000000000)
                           select count(*) as total from n";

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_stopped_and_the_connection_serves_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = Location::Sqlite(folder.path().join("t.db"));
        let db = Db::open(&at).await.unwrap();
        let Backend::Sqlite { listers, .. } = &db.backend else {
            panic!("another database");
        };
        let short = Duration::from_millis(50);
        let mut reader = Reader::sqlite(acquire_for(listers, short).await.unwrap());
        let stopped = reader.query(ENDLESS).one().await.map(|_| ()).unwrap_err();
        assert!(matches!(stopped, Error::Stopped(..)), "{stopped:?}");
        drop(reader);
        // The same connection, with a new deadline.
        let mut reader = db.for_lists().reader().await.unwrap();
        assert!(reader.query("select 1 as one").one().await.is_ok());
    }
}
