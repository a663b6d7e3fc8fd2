//! Connections: [`Reader`] to read with, and [`Tx`], a transaction that can write as well.

use std::ops::{Deref, DerefMut};

use model::RepositoryId;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr, Sqlite, Transaction};

use super::connection::Connection;
use super::pooled::Pooled;
use super::query::{Query, Reading, Writing};
use crate::error::{Error, Result};
use crate::relist::{Relist, Relists};
use crate::touch::Touch;

/// A connection for reading. Functions that take one cannot write.
pub struct Reader {
    connection: Connection,
}

/// A transaction. It reads whatever a [`Reader`] does.
pub struct Tx {
    reader: Reader,
    /// Cached things that the transaction changes.
    touched: Vec<Touch>,
    /// Changes that decide which manifests are listed.
    relists: Relists,
}

impl Reader {
    pub(crate) fn sqlite(connection: PoolConnection<Sqlite>) -> Self {
        Self {
            connection: Connection::SqliteReader(connection),
        }
    }

    /// A snapshot.
    pub(crate) fn sqlite_snapshot(transaction: Transaction<'static, Sqlite>) -> Self {
        Self {
            connection: Connection::SqliteSnapshot(transaction),
        }
    }

    pub(crate) async fn postgres(pool: &PgPool) -> Result<Self> {
        Ok(Self {
            connection: Connection::Postgres(Pooled::acquire(pool).await?),
        })
    }

    /// A statement that both databases understand.
    pub(crate) fn query(&mut self, sql: &'static str) -> Query<'_, Reading> {
        Query::new(self.connection.dialect(), sql, sql.into_sql_str())
    }

    /// A statement with a text for each database.
    pub(crate) fn query_either(
        &mut self,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Query<'_, Reading> {
        let sql = if self.is_postgres() { postgres } else { sqlite };
        self.query(sql)
    }

    /// A statement composed of constant parts; values are bound as in all others.
    pub(crate) fn query_built(&mut self, name: &'static str, sql: String) -> Query<'_, Reading> {
        Query::new(
            self.connection.dialect(),
            name,
            AssertSqlSafe(sql).into_sql_str(),
        )
    }

    /// Whether other transactions can run at the same time.
    pub(crate) fn is_postgres(&self) -> bool {
        self.connection.is_postgres()
    }
}

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl Tx {
    pub(crate) fn sqlite(connection: SqliteConnection) -> Self {
        Self::new(Connection::SqliteWriter(connection))
    }

    /// Begins a transaction with the statements of `begin`; returns their rows.
    pub(crate) async fn postgres(pool: &PgPool, begin: &str) -> Result<(Self, Vec<PgRow>)> {
        let mut pooled = Pooled::acquire(pool).await?;
        let begun = pooled.control(begin).await;
        let rows = begun.map_err(|error| Error::Statement("begin", error))?;
        Ok((Self::new(Connection::Postgres(pooled)), rows))
    }

    fn new(connection: Connection) -> Self {
        Self {
            reader: Reader { connection },
            touched: Vec::new(),
            relists: Relists::new(),
        }
    }

    /// Ends a transaction on PostgreSQL with `commit` or `rollback`.
    pub(crate) async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        if let Connection::Postgres(pooled) = &mut self.reader.connection {
            pooled.control(sql).await?;
            pooled.busy = false;
        }
        Ok(())
    }

    /// Turns it into a reader.
    pub(crate) fn into_reader(self) -> Reader {
        self.reader
    }

    /// Records that the transaction changes something that is cached.
    pub(crate) fn touch(&mut self, touch: Touch) {
        self.touched.push(touch);
    }

    pub(crate) fn take_touched(&mut self) -> Vec<Touch> {
        std::mem::take(&mut self.touched)
    }

    /// Changes of the transaction in a repository that affect which manifests are listed. They are processed before the
    /// commit.
    pub(crate) fn relist(&mut self, repository: RepositoryId) -> &mut Relist {
        self.relists.entry(repository).or_default()
    }

    pub(crate) fn take_relists(&mut self) -> Relists {
        std::mem::take(&mut self.relists)
    }

    /// As [`Reader::query`], for a statement that may write or lock.
    pub(crate) fn query(&mut self, sql: &'static str) -> Query<'_, Writing> {
        Query::new(self.reader.connection.dialect(), sql, sql.into_sql_str())
    }

    /// As [`Reader::query_either`], for a statement that may write or lock.
    pub(crate) fn query_either(
        &mut self,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Query<'_, Writing> {
        let sql = if self.is_postgres() { postgres } else { sqlite };
        self.query(sql)
    }

    /// As [`Reader::query_built`], for a statement that may write or lock.
    pub(crate) fn query_built(&mut self, name: &'static str, sql: String) -> Query<'_, Writing> {
        Query::new(
            self.reader.connection.dialect(),
            name,
            AssertSqlSafe(sql).into_sql_str(),
        )
    }
}
