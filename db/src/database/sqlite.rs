//! Opens SQLite: one connection that writes, and a pool of readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _};

use super::Backend;
use crate::cache::Caches;
use crate::error::{Error, Result, sqlite_code};
use crate::schema;
use crate::writer::Writer;

/// Connections that read at once.
const READERS: u32 = 4;
/// How long a statement waits for a connection or for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the file, made when it is absent, and starts its writer.
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
    // SQLite opens a file that it cannot write for reading, and says so at the first change.
    match connection
        .execute("begin immediate; pragma user_version = 0; rollback")
        .await
    {
        Err(error) if is_read_only(&error) => return Err(Error::ReadOnly(shown, error)),
        // The next statement waits for whoever is writing.
        Err(_) => drop(connection.execute("rollback").await),
        Ok(_) => {}
    }
    schema::migrate(&schema::SQLITE, &mut connection).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_lazy_with(options.read_only(true).create_if_missing(false));
    let caches = Arc::new(Caches::alone());
    let writer = Writer::start(connection, caches.clone());
    Ok((Backend::Sqlite { writer, readers }, caches))
}

/// Whether SQLite may not write its file: SQLITE_READONLY and its extended codes.
fn is_read_only(error: &sqlx::Error) -> bool {
    const READ_ONLY: i32 = 8;
    sqlite_code(error) == Some(READ_ONLY)
}
