//! Metadata: pool, transactions, migrations, and one store module per concept. The only crate with
//! SQL. One text serves SQLite and PostgreSQL; where they must differ both stand side by side.

pub mod account;
pub mod audit;
pub mod backup;
mod batch;
pub mod binding;
pub mod blob;
pub mod broken;
pub mod cache;
pub mod clock;
pub mod garbage;
pub mod gc;
pub mod lease;
pub mod login_failure;
pub mod manifest;
pub mod member;
pub mod page;
mod ping;
pub mod project;
pub mod quota;
pub mod repository;
mod schema;
pub mod setting;
mod sql;
pub mod stat;
pub mod store_identity;
pub mod tag;
pub mod untagged;
pub mod upload;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{ProjectId, Timestamp};
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
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
    /// The server does not answer, or refuses connections: every request meets that until it is back.
    #[error("cannot reach the database at {0}")]
    Unreachable(String, #[source] sqlx::Error),
    /// The file can be read and not written.
    #[error(
        "cannot write the database {0}: let its user be the one who runs this, as with `chown --reference=FOLDER {0}*`"
    )]
    ReadOnly(String, #[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] MigrateError),
    /// A statement failed, or no connection was to be had.
    #[error("cannot run the statement {0:?}")]
    Statement(&'static str, #[source] sqlx::Error),
    /// A pooler in front of PostgreSQL gave the connection's prepared statements to others.
    #[error(
        "the pooler in front of PostgreSQL loses prepared statements: set pool_mode = session, or, for \
         pool_mode = transaction, use PgBouncer 1.21 or newer with max_prepared_statements = 200"
    )]
    Pooler(#[source] sqlx::Error),
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
    /// What a job passed over, because its rows hold what no version of this program writes.
    #[error("{count} rows cannot be understood and were passed over, such as: {first}")]
    PassedOver {
        /// How many.
        count: u64,
        /// One of them, and what is wrong.
        first: String,
    },
    /// No part of a project's room had enough for a push beside others.
    #[error("the project is near its limit: the transaction must run alone")]
    Crowded,
    /// The project of the transaction was deleted.
    #[error("the project does not exist any more")]
    ProjectGone,
    /// The upload was taken over, or is over.
    #[error("the upload is another's now, or over")]
    UploadGone,
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
    /// Whether the transaction met others and may be run again: deadlocks, locks that did not come in
    /// time, serialization failures, and rows that were deleted while others came to refer to them.
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

/// Whether an error, or one behind it, is that the database's server is gone, or went in the middle. Whoever watches
/// the database says so once; requests need not say it each.
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

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where the database is. It does not print, because the URL may hold a password.
#[derive(Clone)]
pub enum Location {
    /// A SQLite file, made when it is absent.
    Sqlite(PathBuf),
    /// A PostgreSQL server's URL.
    Postgres(String),
}

impl Location {
    /// Looks at it without connecting.
    ///
    /// # Errors
    /// When it is not the URL of a PostgreSQL server.
    pub fn check(&self) -> Result<()> {
        let Self::Postgres(url) = self else {
            return Ok(());
        };
        let invalid = |why: &str| {
            let error = sqlx::Error::Configuration(why.to_owned().into());
            Err(Error::Open("at [database] url".to_owned(), error))
        };
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return invalid("it does not begin with postgres://");
        }
        // The cause may quote parts of the URL.
        match url.parse::<PgConnectOptions>() {
            Ok(_) => Ok(()),
            Err(_) => invalid("it is no URL"),
        }
    }
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
        .map_err(not_migrated)?;
    let listed = connection.list_applied_migrations(TABLE).await;
    Ok(listed
        .map_err(not_migrated)?
        .iter()
        .map(|migration| migration.version)
        .collect())
}

/// Why migrations could not be read or run.
fn not_migrated(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if sql::is_pooled(&error) =>
        {
            Error::Pooler(error)
        }
        error => Error::Migrate(error),
    }
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

/// What a connection to PostgreSQL is set to. Not by options of the start, which poolers refuse. Statements
/// are short: compiling one, or planning it anew for each `limit`, takes about as long as running it, and each
/// is written for one plan. A client that is gone, or a server's host, is noticed within half a minute.
const SESSION: &str = "set jit = off; set plan_cache_mode = force_generic_plan;
    set statement_timeout = '30s'; set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '30s';
    set client_connection_check_interval = '2s';
    set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
    set tcp_user_timeout = '30s'";
/// The same bounds for one transaction, on whichever connection a pooler runs it: locks are never held for
/// long by a process that is gone.
const BEGIN: &str = "begin isolation level read committed;
    set local statement_timeout = '30s'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'; set local client_connection_check_interval = '2s'";
/// One view for as long as a reader needs it: a statement may take any time, the reader may not rest long.
const SNAPSHOT: &str = "begin isolation level repeatable read read only;
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '10min'";
/// The class of the advisory locks that hold a project.
const PROJECT_LOCKS: i32 = 7103;

/// How a transaction holds its project. Lock order: project, shards of its usage, repository, upload, blobs and
/// their links by id, manifests by id, tags by name, counters of pulls. Rows that are only added come last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Beside others; it cannot be deleted meanwhile.
    Shared(ProjectId),
    /// Alone: nobody begins to write into it meanwhile.
    Alone(ProjectId),
}

impl Hold {
    /// Takes the lock, then looks whether the project is there: one statement each, so that the second sees
    /// what was committed before the first was answered.
    fn statements(self) -> String {
        let (lock, ProjectId(id)) = match self {
            Self::Shared(id) => ("pg_advisory_xact_lock_shared", id),
            Self::Alone(id) => ("pg_advisory_xact_lock", id),
        };
        let key = id % i64::from(i32::MAX);
        format!(
            "; select {lock}({PROJECT_LOCKS}, {key});
             select count(*) as living from project where id = {id} and deleted_at is null"
        )
    }

    fn project(self) -> ProjectId {
        match self {
            Self::Shared(id) | Self::Alone(id) => id,
        }
    }
}

/// Where sqlx notes migrations.
const TABLE: &str = "_sqlx_migrations";

/// Connections that read from SQLite at once.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL of one process.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Whether SQLite may not write its file: SQLITE_READONLY, and what it is told more exactly.
fn is_read_only(error: &sqlx::Error) -> bool {
    const READ_ONLY: i32 = 8;
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == READ_ONLY)
}

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
        // SQLite opens what it cannot write for reading, and says so at the first change.
        match connection
            .execute("begin immediate; pragma user_version = 0; rollback")
            .await
        {
            Err(error) if is_read_only(&error) => return Err(Error::ReadOnly(shown, error)),
            // Whoever is busy writing is waited for by what comes next.
            Err(_) => drop(connection.execute("rollback").await),
            Ok(_) => {}
        }
        SQLITE.run(&mut connection).await.map_err(not_migrated)?;
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
        let options = postgres_options(url)?;
        let shown = format!("at {}:{}", options.get_host(), options.get_port());
        migrate_postgres(&options)
            .await
            .map_err(|error| match error {
                Error::Statement(_, error) => Error::Open(shown.clone(), error),
                error => error,
            })?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .before_acquire(|connection, rest| Box::pin(still_there(connection, rest)))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A connection on which this fails fails again when it is used, and is replaced then.
                    if let Err(error) = connection.execute(SESSION).await {
                        tracing::debug!(%error, "a connection to PostgreSQL could not be set up");
                    }
                    Ok(())
                })
            })
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
                let options = postgres_options(url)?;
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

    /// How many transactions were asked for of SQLite's one writer; nothing where writers do not wait for each other.
    pub fn writes_asked_for(&self) -> Option<u64> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => Some(writer.asked()),
            Backend::Postgres(_) => None,
        }
    }

    /// A connection to read with. Statements see what was committed before each of them.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn reader(&self) -> Result<Tx> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => {
                let acquired = readers.acquire().await.map(Tx::sqlite_reader);
                acquired.map_err(|error| Error::Statement("acquire", error))
            }
            Backend::Postgres(pool) => Tx::postgres_reader(pool).await,
        }
    }

    /// A view of the database at one moment, for as long as it is held. What has to be written meanwhile is.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn snapshot(&self) -> Result<Tx> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => {
                let begun = readers.begin().await.map(Tx::sqlite_snapshot);
                begun.map_err(|error| Error::Statement("begin", error))
            }
            Backend::Postgres(pool) => {
                let (tx, _) = Tx::postgres_writer(pool, SNAPSHOT).await?;
                Ok(tx)
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
                let (tx, _) = Tx::postgres_writer(pool, BEGIN).await?;
                finish(tx, work).await
            }
        }
    }

    /// As [`Db::write`], for what changes something of a project: it is there, and stays until the end.
    ///
    /// # Errors
    /// [`Error::ProjectGone`] where it was deleted, and those of [`Db::write`].
    pub async fn write_in<T, E, F>(&self, project: ProjectId, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.write_holding(Hold::Shared(project), work).await
    }

    /// As [`Db::write_in`], while nobody else writes into the project: to delete it.
    ///
    /// # Errors
    /// Those of [`Db::write_in`].
    pub async fn write_alone_in<T, E, F>(&self, project: ProjectId, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.write_holding(Hold::Alone(project), work).await
    }

    #[instrument(name = "db.transaction.run", level = "debug", skip_all)]
    async fn write_holding<T, E, F>(&self, hold: Hold, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite { writer, .. } => {
                let checked = writer.write(move |tx| {
                    Box::pin(async move {
                        if !project::is_living(tx, hold.project()).await? {
                            return Err(Error::ProjectGone.into());
                        }
                        work(tx).await
                    })
                });
                checked.await
            }
            Backend::Postgres(pool) => {
                let begin = format!("{BEGIN}{}", hold.statements());
                let (tx, rows) = Tx::postgres_writer(pool, &begin).await?;
                let living = rows.last().and_then(|row| row.try_get("living").ok());
                if living.is_none_or(|living: i64| living == 0) {
                    // Where it fails the connection is closed, and that undoes it too.
                    let _ = tx.end("rollback").await;
                    return Err(Error::ProjectGone.into());
                }
                finish(tx, work).await
            }
        }
    }

    /// The time that decides what is due: on PostgreSQL the server's, the same for all replicas.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn now(&self, local: &dyn model::Clock) -> Result<Timestamp> {
        match &self.backend {
            Backend::Sqlite { .. } => Ok(local.now()),
            Backend::Postgres(_) => clock::of_server(&mut self.reader().await?).await,
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

/// Runs `work` in a transaction on PostgreSQL to its end.
async fn finish<T, E, F>(mut tx: Tx, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
{
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

/// How a server is connected to. Poolers refuse parameters at the start that they do not know.
fn postgres_options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error| Error::Open("at [database] url".to_owned(), error))?;
    Ok(options.extra_float_digits(None).disable_statement_logging())
}

/// Brings the schema up to date, one process at a time. The lock belongs to a transaction, not to a session,
/// which a pooler may give to others.
async fn migrate_postgres(options: &PgConnectOptions) -> Result<()> {
    let failed = |error| Error::Statement("migrate", error);
    let mut turn = options.connect().await.map_err(failed)?;
    let mut held = turn.begin().await.map_err(failed)?;
    sqlx::raw_sql("select pg_advisory_xact_lock(7100)")
        .execute(&mut *held)
        .await
        .map_err(failed)?;
    let mut connection = options.connect().await.map_err(failed)?;
    POSTGRES.run(&mut connection).await.map_err(not_migrated)?;
    connection.close().await.map_err(failed)?;
    held.commit().await.map_err(failed)?;
    turn.close().await.map_err(failed)
}

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
