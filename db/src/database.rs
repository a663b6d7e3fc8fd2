//! The database: readers, transactions, and how they are run on SQLite and on PostgreSQL.

mod hold;
mod location;
mod ping;
mod postgres;
mod server;
mod sqlite;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use model::ProjectId;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions as _, Row as _};
use tracing::instrument;

pub use self::location::Location;
pub use self::server::{Connections, ServerFacts};

use self::hold::Hold;
use crate::cache::Caches;
use crate::error::{Error, Result};
use crate::fence;
use crate::listed;
use crate::schema::{self, Migration};
use crate::sql::{Reader, Tx};
use crate::touch::Touch;
use crate::writer::Writer;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    backend: Backend,
    caches: Arc<Caches>,
    use_of: Use,
}

#[derive(Clone)]
enum Backend {
    Sqlite {
        writer: Writer,
        readers: SqlitePool,
        /// Those of [`Use::Lists`].
        listers: SqlitePool,
    },
    Postgres(PgPool),
}

/// The purpose of a reader.
#[derive(Clone, Copy)]
enum Use {
    /// Statements with known duration: those of pushes, pulls, sign-ins and jobs.
    Work,
    /// Lists, which clients filter and sort as they like.
    Lists,
}

impl Db {
    /// Opens the database and brings its schema up to date. Call it within the runtime that lives as long as the
    /// process.
    ///
    /// # Errors
    /// When the file or server cannot be opened, or has a newer schema.
    pub async fn open(location: &Location) -> Result<Self> {
        let (backend, caches) = match location {
            Location::Sqlite(path) => sqlite::open(path).await?,
            Location::Postgres(url) => {
                let pool = postgres::open(url).await?;
                (Backend::Postgres(pool), Arc::new(Caches::shared()))
            }
        };
        Ok(Self {
            backend,
            caches,
            use_of: Use::Work,
        })
    }

    /// The migrations that this program knows, and whether the database has them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn migrations(location: &Location) -> Result<Vec<Migration>> {
        match location {
            Location::Sqlite(path) => {
                let connected = SqliteConnectOptions::new().filename(path).connect().await;
                let shown = path.display().to_string();
                let mut connection = connected.map_err(|error| Error::Open(shown, error))?;
                schema::list(&schema::SQLITE, &mut connection).await
            }
            Location::Postgres(url) => {
                let connected = postgres::options(url)?.connect().await;
                let shown = "at [database] url".to_owned();
                let mut connection = connected.map_err(|error| Error::Open(shown, error))?;
                schema::list(&schema::POSTGRES, &mut connection).await
            }
        }
    }

    /// The number of the newest migration that this program knows.
    pub fn newest_schema() -> i64 {
        schema::newest()
    }

    /// The caches.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Whether other processes work on the database too.
    pub fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// The same database, for reading lists. SQLite has few readers, so lists use different ones from pulls and
    /// sign-ins, and each is stopped after [`sqlite::LONGEST_READ`]; PostgreSQL has a time limit for each statement.
    #[must_use]
    pub fn for_lists(&self) -> Self {
        Self {
            use_of: Use::Lists,
            ..self.clone()
        }
    }

    /// A connection to read with. Statements see what was committed before each of them.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn reader(&self) -> Result<Reader> {
        let acquired = match (&self.backend, self.use_of) {
            (Backend::Postgres(pool), _) => return Reader::postgres(pool).await,
            (Backend::Sqlite { readers, .. }, Use::Work) => readers.acquire().await,
            (Backend::Sqlite { listers, .. }, Use::Lists) => {
                sqlite::acquire_for(listers, sqlite::LONGEST_READ).await
            }
        };
        let acquired = acquired.map(Reader::sqlite);
        acquired.map_err(|error| Error::Statement("acquire", error))
    }

    /// A snapshot of the database, for as long as it is held. Writers are not blocked.
    ///
    /// # Errors
    /// When no connection is free within five seconds.
    pub async fn snapshot(&self) -> Result<Reader> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => {
                let begun = readers.begin().await.map(Reader::sqlite_snapshot);
                begun.map_err(|error| Error::Statement("begin", error))
            }
            Backend::Postgres(pool) => {
                let (tx, _) = Tx::postgres(pool, postgres::SNAPSHOT).await?;
                Ok(tx.into_reader())
            }
        }
    }

    /// Runs `work` in one transaction and returns once it is committed and durable. A failure leaves no changes.
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
            Backend::Sqlite { writer, .. } => {
                let fence = fence::current();
                let fenced = writer.write(move |tx| {
                    Box::pin(async move {
                        fence::check(tx, fence).await?;
                        to_its_end(tx, work).await
                    })
                });
                fenced.await
            }
            Backend::Postgres(pool) => {
                let (tx, _) = Tx::postgres(pool, postgres::BEGIN).await?;
                self.finish(tx, work).await
            }
        }
    }

    /// As [`Db::write`], for changes in a project: the project exists, and cannot be deleted until the end.
    ///
    /// # Errors
    /// [`Error::ProjectGone`] if it was deleted, and those of [`Db::write`].
    pub async fn write_in<T, E, F>(&self, project: ProjectId, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.write_holding(Hold::Shared(project), work).await
    }

    /// As [`Db::write_in`], with the project's exclusive lock: to delete it, for example.
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
                let fence = fence::current();
                let checked = writer.write(move |tx| {
                    Box::pin(async move {
                        fence::check(tx, fence).await?;
                        if !hold::is_living(tx, hold.project()).await? {
                            return Err(Error::ProjectGone.into());
                        }
                        to_its_end(tx, work).await
                    })
                });
                checked.await
            }
            Backend::Postgres(pool) => {
                let begin = format!("{}{}", postgres::BEGIN, hold.statements());
                let (tx, rows) = Tx::postgres(pool, &begin).await?;
                let living = rows.last().and_then(|row| row.try_get("living").ok());
                if living.is_none_or(|living: i64| living == 0) {
                    // If that fails, the connection is closed, which rolls back too.
                    let _ = tx.end("rollback").await;
                    return Err(Error::ProjectGone.into());
                }
                self.finish(tx, work).await
            }
        }
    }

    /// Runs `work` in a transaction on PostgreSQL to its end.
    async fn finish<T, E, F>(&self, mut tx: Tx, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    {
        let done = match fence::check(&mut tx, fence::current()).await {
            Ok(()) => to_its_end(&mut tx, work).await,
            Err(error) => Err(error.into()),
        };
        let touched = tx.take_touched();
        match done {
            Ok(done) => {
                let committed = tx.end("commit").await;
                committed.map_err(|error| Error::Commit(Arc::new(error)))?;
                if touched.iter().any(|touch| matches!(touch, Touch::Jobs)) {
                    self.caches.jobs_added.notify_one();
                }
                Ok(done)
            }
            Err(error) => {
                // If that fails, the connection is closed, which rolls back too.
                let _ = tx.end("rollback").await;
                Err(error)
            }
        }
    }

    /// Waits until this process has added jobs.
    pub async fn jobs_added(&self) {
        self.caches.jobs_added.notified().await;
    }

    /// Connections in use and idle, for metrics.
    pub fn pool_size(&self) -> (u32, usize) {
        match &self.backend {
            Backend::Sqlite {
                readers, listers, ..
            } => (
                readers.size() + listers.size(),
                readers.num_idle() + listers.num_idle(),
            ),
            Backend::Postgres(pool) => (pool.size(), pool.num_idle()),
        }
    }

    /// Finishes waiting transactions and closes all connections.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite {
                writer,
                readers,
                listers,
            } => {
                // The writer last: only a writing connection merges the log into the file when it closes.
                readers.close().await;
                listers.close().await;
                writer.stop().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }
}

/// Does everything that a transaction does before its commit.
async fn to_its_end<T, E, F>(tx: &mut Tx, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
{
    let done = work(tx).await?;
    let relists = tx.take_relists();
    listed::settle(tx, relists).await?;
    Ok(done)
}
