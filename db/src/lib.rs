//! Metadata: pool, transactions, migrations, and one store module per concept. The only crate with
//! SQL. One text serves SQLite and PostgreSQL; where they must differ both stand side by side.

pub mod account;
pub mod audit;
pub mod backup;
pub mod binding;
pub mod blob;
pub mod cache;
pub mod gc;
pub mod lease;
pub mod login_failure;
pub mod manifest;
pub mod member;
pub mod page;
pub mod project;
pub mod quota;
pub mod repository;
mod schema;
pub mod setting;
mod sql;
pub mod store_identity;
pub mod tag;
pub mod untagged;
pub mod upload;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::Migrate;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tracing::instrument;

pub use cache::{Age, Caches};
pub(crate) use sql::Row;
pub use sql::Tx;

use crate::schema::{POSTGRES, SQLITE};
use crate::writer::Writer;

/// What can go wrong below the stores.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("cannot open the database {0}")]
    Open(String, #[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A statement failed, or no connection was to be had.
    #[error("cannot run the statement {0:?}")]
    Statement(&'static str, #[source] sqlx::Error),
    /// A unique value is taken.
    #[error("the value is taken already")]
    Duplicate(#[source] sqlx::Error),
    /// A row holds what no version of this program writes.
    #[error("the database holds an invalid {table}.{column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// No part of a project's room had enough for a push beside others.
    #[error("the project is near its limit: the transaction must run alone")]
    Crowded,
    /// Others changed the same row each time it was looked at.
    #[error("{0} is busy: try again")]
    Contended(&'static str),
    /// The commit failed; nothing of the transaction is there.
    #[error("cannot commit: {0}")]
    Commit(Arc<sqlx::Error>),
    /// The writer has stopped, because the process is ending or a statement panicked.
    #[error("the database writer is gone")]
    WriterGone,
}

impl Error {
    /// Whether the transaction met others and may be run again: deadlocks and serialization failures.
    pub fn is_collision(&self) -> bool {
        let error = match self {
            Self::Contended(_) => return true,
            Self::Statement(_, error) | Self::Duplicate(error) => error,
            Self::Commit(error) => &**error,
            _ => return false,
        };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["40P01", "40001"].contains(&&*code))
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A SQLite file, made when it is absent.
    Sqlite(PathBuf),
    /// A PostgreSQL server's URL.
    Postgres(String),
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    backend: Backend,
    caches: Arc<Caches>,
}

#[derive(Clone)]
enum Backend {
    Sqlite { writer: Writer, readers: SqlitePool },
    Postgres(PgPool),
}

/// A step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Versions of the migrations that a database has.
async fn applied<C: Migrate>(
    connection: Result<C, sqlx::Error>,
    shown: String,
) -> Result<Vec<i64>> {
    let mut connection = connection.map_err(|error| Error::Open(shown, error))?;
    connection
        .ensure_migrations_table(TABLE)
        .await
        .map_err(Error::Migrate)?;
    let listed = connection.list_applied_migrations(TABLE).await;
    Ok(listed
        .map_err(Error::Migrate)?
        .iter()
        .map(|migration| migration.version)
        .collect())
}

/// Whether a connection may be used. One that was used a moment ago was asked when it was put back, and what
/// is begun on it is begun anew where its server has gone since then.
async fn still_there(
    connection: &mut PgConnection,
    rest: PoolConnectionMetadata,
) -> Result<bool, sqlx::Error> {
    if rest.idle_for >= REST {
        connection.ping().await?;
    }
    Ok(true)
}

/// Where sqlx notes migrations.
const TABLE: &str = "_sqlx_migrations";

/// Connections that read from SQLite at once.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL of one process.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a connection rests before it is asked whether its server is still there.
const REST: Duration = Duration::from_secs(1);
/// How long a statement waits for a connection or for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);

impl Db {
    /// Opens the database and brings its schema up to date. To be called within the runtime that
    /// lives as long as the process.
    ///
    /// # Errors
    /// When the file or the server cannot be had, or holds a newer schema.
    pub async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::Sqlite(path) => Self::open_sqlite(path.clone()).await,
            Location::Postgres(url) => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(path: PathBuf) -> Result<Self> {
        let shown = path.display().to_string();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("cache_size", "-2048")
            .pragma("temp_store", "memory")
            .statement_cache_capacity(128)
            .disable_statement_logging();
        let open = |error| Error::Open(shown.clone(), error);
        let mut connection = options.connect().await.map_err(open)?;
        SQLITE.run(&mut connection).await.map_err(Error::Migrate)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        let caches = Arc::new(Caches::alone());
        let writer = Writer::start(connection, caches.clone());
        Ok(Self {
            backend: Backend::Sqlite { writer, readers },
            caches,
        })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|error| Error::Open("at [database] url".to_owned(), error))?;
        let shown = format!("at {}:{}", options.get_host(), options.get_port());
        // Statements are short: compiling one, or planning it anew for each `limit`, takes about as long as
        // running it. Each is written for one plan.
        let options = options
            .options([("jit", "off"), ("plan_cache_mode", "force_generic_plan")])
            .disable_statement_logging();
        let open = |error| Error::Open(shown.clone(), error);
        let mut connection = options.connect().await.map_err(open)?;
        POSTGRES
            .run(&mut connection)
            .await
            .map_err(Error::Migrate)?;
        connection.close().await.map_err(open)?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .before_acquire(|connection, rest| Box::pin(still_there(connection, rest)))
            .connect_lazy_with(options);
        Ok(Self {
            backend: Backend::Postgres(pool),
            caches: Arc::new(Caches::shared()),
        })
    }

    /// The migrations that this program knows, and whether the database has them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn migrations(location: &Location) -> Result<Vec<Migration>> {
        let known = match location {
            Location::Sqlite(_) => &SQLITE,
            Location::Postgres(_) => &POSTGRES,
        };
        let applied = match location {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                applied(options.connect().await, path.display().to_string()).await?
            }
            Location::Postgres(url) => {
                let options: PgConnectOptions = url
                    .parse()
                    .map_err(|error| Error::Open("at [database] url".to_owned(), error))?;
                applied(options.connect().await, "at [database] url".to_owned()).await?
            }
        };
        let all = known.iter().map(|migration| Migration {
            version: migration.version,
            name: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        });
        Ok(all.collect())
    }

    /// What was read before and still holds.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Whether other processes work on the database too.
    pub fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// A connection to read with. Statements see what was committed before each of them.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn reader(&self) -> Result<Tx> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => readers.acquire().await.map(Tx::sqlite_reader),
            Backend::Postgres(pool) => Tx::postgres_reader(pool).await,
        }
        .map_err(|error| Error::Statement("acquire", error))
    }

    /// A view of the database at one moment, for as long as it is held. What has to be written meanwhile is.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn snapshot(&self) -> Result<Tx> {
        let begun = |error| Error::Statement("begin", error);
        match &self.backend {
            Backend::Sqlite { readers, .. } => {
                Ok(Tx::sqlite_snapshot(readers.begin().await.map_err(begun)?))
            }
            Backend::Postgres(pool) => {
                let begin = "begin isolation level repeatable read read only";
                Tx::postgres_writer(pool, begin).await.map_err(begun)
            }
        }
    }

    /// Runs `work` in one transaction and answers once it is committed and durable. What fails
    /// leaves nothing.
    ///
    /// # Errors
    /// Those of `work`, and [`Error::Commit`].
    #[instrument(name = "db.transaction.run", level = "debug", skip_all)]
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.write(work).await,
            Backend::Postgres(pool) => {
                let begun = |error| Error::Statement("begin", error);
                let begin = Tx::postgres_writer(pool, "begin").await;
                let mut tx = begin.map_err(begun)?;
                match work(&mut tx).await {
                    Ok(done) => {
                        let committed = tx.end("commit").await;
                        committed.map_err(|error| Error::Commit(Arc::new(error)))?;
                        Ok(done)
                    }
                    Err(error) => {
                        // Where it fails the connection is closed, and that undoes it too.
                        let _ = tx.end("rollback").await;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Connections in use and idle, for metrics.
    pub fn pool_size(&self) -> (u32, usize) {
        match &self.backend {
            Backend::Sqlite { readers, .. } => (readers.size(), readers.num_idle()),
            Backend::Postgres(pool) => (pool.size(), pool.num_idle()),
        }
    }

    /// Finishes what waits and closes all connections.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { writer, readers } => {
                writer.stop().await;
                readers.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }
}
