//! A statement and how it is run.

use std::marker::PhantomData;

use futures_util::StreamExt as _;
use sqlx::sqlite::SqliteError;
use sqlx::{Postgres, SqlStr, Sqlite};
use tracing::Instrument as _;

use super::connection::Dialect;
use super::pooled::{InTime as _, is_timeout};
use super::row::Row;
use super::span;
use super::value::Value;
use crate::error::{Error, Result, sqlite_code};
use crate::statements;

/// The kind of a query that only reads.
pub(crate) struct Reading;
/// The kind of a query that may write or lock.
pub(crate) struct Writing;

/// A statement with its values, not yet run.
pub(crate) struct Query<'c, Kind> {
    dialect: Dialect<'c>,
    name: &'static str,
    sql: SqlStr,
    values: Vec<Value>,
    kind: PhantomData<Kind>,
}

/// The statement with its values, for one of the databases.
macro_rules! bound {
    ($database:ident, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.clone()),
                Value::Bytes(value) => query.bind(value.clone()),
            };
        }
        query
    }};
}

/// Runs the query on whichever database it is; `$method` is sqlx's.
macro_rules! run {
    ($self:ident, $method:ident, |$found:ident| $map:expr, |$found_pg:ident| $map_pg:expr) => {{
        let name = $self.name;
        let result = match $self.dialect {
            Dialect::Sqlite(connection) => {
                let mut query = sqlx::query::<Sqlite>($self.sql);
                for value in $self.values {
                    query = match value {
                        Value::Int(value) => query.bind(value),
                        Value::Text(value) => query.bind(value),
                        Value::Bytes(value) => query.bind(value),
                    };
                }
                query.$method(connection).await.map(|$found| $map)
            }
            Dialect::Postgres(pooled) => {
                // Giving up in the middle of a statement closes the connection, which ends the statement.
                let within = std::mem::replace(&mut pooled.busy, true);
                loop {
                    let query = bound!(Postgres, $self.sql.clone(), &$self.values);
                    let done = query.$method(&mut *pooled.connection).in_time().await;
                    if !pooled.was_replaced(done.as_ref().err()).await {
                        pooled.busy = within || done.as_ref().is_err_and(is_timeout);
                        break done.map(|$found_pg| $map_pg);
                    }
                }
            }
        };
        result.map_err(|error| refine(name, error))
    }};
}

fn refine(statement: &'static str, error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(inner) if inner.is_unique_violation() => Error::Duplicate(error),
        _ if is_pooler_conflict(&error) => Error::Pooler(error),
        _ if is_interrupted(&error) => Error::Stopped(statement, error),
        _ => Error::Statement(statement, error),
    }
}

/// True if the deadline of the connection has passed: SQLITE_INTERRUPT.
fn is_interrupted(error: &sqlx::Error) -> bool {
    const INTERRUPTED: i32 = 9;
    // Codes of PostgreSQL may be numbers too.
    let of_sqlite = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<SqliteError>());
    of_sqlite.is_some() && sqlite_code(error) == Some(INTERRUPTED)
}

/// True for a prepared statement that exists already, or no longer exists.
pub(crate) fn is_pooler_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["42P05", "26000"].contains(&&*code))
}

impl Query<'_, Writing> {
    /// Runs it; returns the number of changed rows.
    pub(crate) async fn execute(self) -> Result<u64> {
        statements::note();
        let span = span::of(self.name);
        let run = async {
            run!(self, execute, |done| done.rows_affected(), |done| done
                .rows_affected())
        };
        run.instrument(span).await
    }
}

impl<'c, Kind> Query<'c, Kind> {
    pub(super) fn new(dialect: Dialect<'c>, name: &'static str, sql: SqlStr) -> Self {
        Self {
            dialect,
            name,
            sql,
            values: Vec::new(),
            kind: PhantomData,
        }
    }

    /// Binds the next of `$1`, `$2`, …
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// All rows.
    pub(crate) async fn all(self) -> Result<Vec<Row>> {
        statements::note();
        let span = span::of(self.name);
        let run = async {
            run!(
                self,
                fetch_all,
                |rows| rows.into_iter().map(Row::Sqlite).collect(),
                |rows| rows.into_iter().map(Row::Postgres).collect()
            )
        };
        run.instrument(span).await
    }

    /// The only row, if there is one.
    pub(crate) async fn optional(self) -> Result<Option<Row>> {
        statements::note();
        let span = span::of(self.name);
        let run = async {
            run!(self, fetch_optional, |row| row.map(Row::Sqlite), |row| row
                .map(Row::Postgres))
        };
        run.instrument(span).await
    }

    /// Passes the rows on as they arrive, so that there may be any number of them.
    pub(crate) async fn each<E: From<Error>>(
        self,
        mut take: impl FnMut(Row) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        statements::note();
        let name = self.name;
        match self.dialect {
            Dialect::Sqlite(connection) => {
                let query = bound!(Sqlite, self.sql, &self.values);
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.next().await {
                    take(Row::Sqlite(row.map_err(|error| refine(name, error))?))?;
                }
            }
            Dialect::Postgres(pooled) => {
                let within = std::mem::replace(&mut pooled.busy, true);
                let query = bound!(Postgres, self.sql, &self.values);
                let mut rows = query.fetch(&mut *pooled.connection);
                while let Some(row) = rows.next().await {
                    take(Row::Postgres(row.map_err(|error| refine(name, error))?))?;
                }
                drop(rows);
                pooled.busy = within;
            }
        }
        Ok(())
    }

    /// The only row.
    pub(crate) async fn one(self) -> Result<Row> {
        let found = self.optional().await?;
        found.ok_or(Error::Statement("one row", sqlx::Error::RowNotFound))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPool;

    use super::*;
    use crate::sql::Reader;
    use crate::{Db, Location};

    #[tokio::test]
    async fn each_binds_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Location::Sqlite(folder.path().join("t.db"));
        let sqlite = Db::open(&sqlite).await.unwrap();
        let url =
            std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
        let postgres = PgPool::connect(&url).await.unwrap();
        for mut reader in [
            sqlite.reader().await.unwrap(),
            Reader::postgres(&postgres).await.unwrap(),
        ] {
            let statement = "select cast($1 as bigint) as number, cast($2 as text) as word";
            let query = reader.query(statement).bind(7_i64).bind("seven");
            let mut found: Vec<(i64, String)> = Vec::new();
            let keep = |row: Row| {
                found.push((row.get("bound", "number")?, row.get("bound", "word")?));
                Ok::<_, Error>(())
            };
            query.each(keep).await.unwrap();
            assert_eq!(found, [(7, "seven".to_owned())]);
        }
    }
}
