//! One way to run a statement on either database: a transaction or connection, a query with bound
//! values, and rows that are parsed into model types.

use std::fmt::Display;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use futures_util::StreamExt as _;
use model::{AccountId, BlobId, Digest, ManifestId, MemberId, ProjectId, RepositoryId, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Connection as _, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Transaction,
};

use tracing::{Instrument as _, Span, field};

use crate::cache::Touch;
use crate::{Error, Result, ping};

/// A connection: for reading, or with a transaction open on it.
pub struct Tx {
    connection: Connection,
    /// What the transaction changes that caches hold.
    touched: Vec<Touch>,
}

enum Connection {
    SqliteWriter(SqliteConnection),
    SqliteReader(PoolConnection<Sqlite>),
    SqliteSnapshot(Transaction<'static, Sqlite>),
    PostgresWriter(Lent),
    PostgresReader(Lent),
}

enum Dialect<'t> {
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut Lent),
}

/// How long a statement may take that is not read row by row. A server that says nothing more would hold
/// the connection for ever, and in the end all of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to PostgreSQL. It goes back to the pool unless it may be in the midst of something.
struct Lent {
    connection: PoolConnection<Postgres>,
    /// Where it is from, as long as nothing has been done with it.
    untried: Option<PgPool>,
    amid: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.amid {
            self.connection.close_on_drop();
        }
    }
}

impl Lent {
    async fn by(pool: &PgPool) -> Result<Self> {
        Ok(Self {
            connection: ping::acquire(pool).await?,
            untried: Some(pool.clone()),
            amid: false,
        })
    }

    /// Whether a statement is to be run again that failed so, or did not fail: the server went away while
    /// the connection rested, the statement was the first since then, and the connection is a new one now.
    async fn again(&mut self, error: Option<&sqlx::Error>) -> bool {
        let (Some(pool), Some(error)) = (self.untried.take(), error) else {
            return false;
        };
        if !went_away(error) {
            return false;
        }
        let options = pool.connect_options();
        let connect = Box::pin(PgConnection::connect_with(&options));
        match connect.in_time().await {
            Ok(connection) => *self.connection = connection,
            Err(_) => return false,
        }
        true
    }

    /// Begins or ends a transaction; the rows that its statements give.
    async fn control(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.amid = true;
        loop {
            // Not prepared, so that several statements are one way to the server.
            let text = AssertSqlSafe(sql.to_owned());
            let statement = sqlx::raw_sql(text).fetch_all(&mut *self.connection);
            let ended = statement.in_time().await;
            if !self.again(ended.as_ref().err()).await {
                return ended;
            }
        }
    }
}

/// Waits for a statement no longer than [`PATIENCE`].
trait InTime<T> {
    async fn in_time(self) -> Result<T, sqlx::Error>;
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> InTime<T> for F {
    async fn in_time(self) -> Result<T, sqlx::Error> {
        match tokio::time::timeout(PATIENCE, self).await {
            Ok(done) => done,
            Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
        }
    }
}

fn timed_out(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Whether the server closed the connection, or ended its process (57P01 and its like).
fn went_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}

impl Tx {
    pub(crate) fn sqlite_writer(connection: SqliteConnection) -> Self {
        Self::new(Connection::SqliteWriter(connection))
    }

    pub(crate) fn sqlite_reader(connection: PoolConnection<Sqlite>) -> Self {
        Self::new(Connection::SqliteReader(connection))
    }

    /// Begins a transaction with the statements of `begin`; the rows that they give.
    pub(crate) async fn postgres_writer(pool: &PgPool, begin: &str) -> Result<(Self, Vec<PgRow>)> {
        let mut lent = Lent::by(pool).await?;
        let begun = lent.control(begin).await;
        let rows = begun.map_err(|error| Error::Statement("begin", error))?;
        Ok((Self::new(Connection::PostgresWriter(lent)), rows))
    }

    pub(crate) async fn postgres_reader(pool: &PgPool) -> Result<Self> {
        let lent = Lent::by(pool).await?;
        Ok(Self::new(Connection::PostgresReader(lent)))
    }

    pub(crate) fn sqlite_snapshot(transaction: Transaction<'static, Sqlite>) -> Self {
        Self::new(Connection::SqliteSnapshot(transaction))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            touched: Vec::new(),
        }
    }

    /// Ends a transaction on PostgreSQL with `commit` or `rollback`.
    pub(crate) async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        if let Connection::PostgresWriter(lent) = &mut self.connection {
            lent.control(sql).await?;
            lent.amid = false;
        }
        Ok(())
    }

    /// Says that the transaction changes something that caches hold.
    pub(crate) fn touch(&mut self, touch: Touch) {
        self.touched.push(touch);
    }

    pub(crate) fn take_touched(&mut self) -> Vec<Touch> {
        std::mem::take(&mut self.touched)
    }

    /// A statement that both databases understand.
    pub(crate) fn query(&mut self, sql: &'static str) -> Query<'_> {
        Query {
            tx: self,
            name: sql,
            sql: sql.into_sql_str(),
            values: Vec::new(),
        }
    }

    /// A statement of which each database has its own text.
    pub(crate) fn query_either(
        &mut self,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Query<'_> {
        let sql = if self.is_postgres() { postgres } else { sqlite };
        self.query(sql)
    }

    /// A statement put together from constant parts; values are bound as in all others.
    pub(crate) fn query_built(&mut self, name: &'static str, sql: String) -> Query<'_> {
        Query {
            tx: self,
            name,
            sql: AssertSqlSafe(sql).into_sql_str(),
            values: Vec::new(),
        }
    }

    /// Whether other transactions run beside this one.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(
            self.connection,
            Connection::PostgresWriter(_) | Connection::PostgresReader(_)
        )
    }

    fn dialect(&mut self) -> Dialect<'_> {
        match &mut self.connection {
            Connection::SqliteWriter(connection) => Dialect::Sqlite(connection),
            Connection::SqliteReader(connection) => Dialect::Sqlite(connection),
            Connection::SqliteSnapshot(transaction) => Dialect::Sqlite(transaction),
            Connection::PostgresWriter(lent) | Connection::PostgresReader(lent) => {
                Dialect::Postgres(lent)
            }
        }
    }
}

/// A value to be bound.
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($from:ty => |$x:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($x: $from) -> Self { $value }
        }
    )*};
}
values! {
    i64 => |x| Self::Int(Some(x));
    u64 => |x| Self::Int(Some(x as i64));
    Option<i64> => |x| Self::Int(x);
    bool => |x| Self::Int(Some(i64::from(x)));
    &str => |x| Self::Text(Some(x.to_owned()));
    String => |x| Self::Text(Some(x));
    Option<&str> => |x| Self::Text(x.map(str::to_owned));
    Option<String> => |x| Self::Text(x);
    &[u8] => |x| Self::Bytes(Some(x.to_vec()));
    Option<&[u8]> => |x| Self::Bytes(x.map(<[u8]>::to_vec));
    Timestamp => |x| Self::Int(Some(x.0));
    AccountId => |x| Self::Int(Some(x.0));
    ProjectId => |x| Self::Int(Some(x.0));
    RepositoryId => |x| Self::Int(Some(x.0));
    ManifestId => |x| Self::Int(Some(x.0));
    BlobId => |x| Self::Int(Some(x.0));
    MemberId => |x| Self::Int(Some(x.0));
    &Digest => |x| Self::Text(Some(x.to_string()));
}

/// A statement with its values, not yet run.
pub(crate) struct Query<'t> {
    tx: &'t mut Tx,
    name: &'static str,
    sql: SqlStr,
    values: Vec<Value>,
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
        let result = match $self.tx.dialect() {
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
            Dialect::Postgres(lent) => {
                // Who gives up waiting in the middle of a statement closes the connection, which ends it.
                let within = std::mem::replace(&mut lent.amid, true);
                loop {
                    let query = bound!(Postgres, $self.sql.clone(), &$self.values);
                    let done = query.$method(&mut *lent.connection).in_time().await;
                    if !lent.again(done.as_ref().err()).await {
                        lent.amid = within || done.as_ref().is_err_and(timed_out);
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
        _ if is_pooled(&error) => Error::Pooler(error),
        _ => Error::Statement(statement, error),
    }
}

/// True for a prepared statement that is there already, or not there any more.
pub(crate) fn is_pooled(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["42P05", "26000"].contains(&&*code))
}

impl Query<'_> {
    /// Binds the next of `$1`, `$2`, …
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; the number of rows changed.
    pub(crate) async fn execute(self) -> Result<u64> {
        let span = span(self.name);
        let run = async {
            run!(self, execute, |done| done.rows_affected(), |done| done
                .rows_affected())
        };
        run.instrument(span).await
    }

    /// All rows.
    pub(crate) async fn all(self) -> Result<Vec<Row>> {
        let span = span(self.name);
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
        let span = span(self.name);
        let run = async {
            run!(self, fetch_optional, |row| row.map(Row::Sqlite), |row| row
                .map(Row::Postgres))
        };
        run.instrument(span).await
    }

    /// Hands the rows on as they come, so that there may be any number of them.
    pub(crate) async fn each<E: From<Error>>(
        self,
        mut take: impl FnMut(Row) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let name = self.name;
        match self.tx.dialect() {
            Dialect::Sqlite(connection) => {
                let query = bound!(Sqlite, self.sql, &self.values);
                let mut rows = query.fetch(connection);
                while let Some(row) = rows.next().await {
                    take(Row::Sqlite(row.map_err(|error| refine(name, error))?))?;
                }
            }
            Dialect::Postgres(lent) => {
                let within = std::mem::replace(&mut lent.amid, true);
                let query = bound!(Postgres, self.sql, &self.values);
                let mut rows = query.fetch(&mut *lent.connection);
                while let Some(row) = rows.next().await {
                    take(Row::Postgres(row.map_err(|error| refine(name, error))?))?;
                }
                drop(rows);
                lent.amid = within;
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

/// A span for a statement, named by what it does: `db.tag.insert`.
fn span(sql: &'static str) -> Span {
    let span = tracing::debug_span!(
        "db.statement",
        otel.name = field::Empty,
        db.query.text = sql
    );
    if !span.is_disabled() {
        span.record("otel.name", span_name(sql));
    }
    span
}

/// `db.tag.insert` for a statement on tags; `db.project.list` for one that was put together and named so.
fn span_name(sql: &str) -> String {
    if !sql.is_empty() && !sql.contains(char::is_whitespace) {
        return format!("db.{sql}");
    }
    let words = outermost(sql);
    let mut words = words.iter().copied();
    let verbs = ["insert", "update", "delete", "select"];
    let verb = words.find(|word| verbs.contains(word));
    let table = match verb {
        Some("update") => words.next(),
        Some("insert" | "delete") => words.nth(1),
        Some("select") => words.skip_while(|word| *word != "from").nth(1),
        _ => None,
    };
    match (verb, table) {
        (Some(verb), Some(table)) => format!("db.{table}.{verb}"),
        (verb, _) => {
            let first = sql.split_whitespace().next().unwrap_or("statement");
            let first = first.trim_end_matches(';');
            format!("db.transaction.{}", verb.unwrap_or(first))
        }
    }
}

/// The words of a statement that stand in no parentheses.
fn outermost(sql: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut words = Vec::new();
    for word in sql.split_whitespace() {
        if depth == 0 && !word.starts_with('(') {
            words.push(word.trim_end_matches([';', ',']));
        }
        depth += word.matches('(').count();
        depth = depth.saturating_sub(word.matches(')').count());
    }
    words
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! getters {
    ($($name:ident $opt:ident $type:ty;)*) => {$(
        pub(crate) fn $name(&self, table: &'static str, column: &'static str) -> Result<$type> {
            self.$opt(table, column)?.ok_or(Error::Corrupt { table, column })
        }

        pub(crate) fn $opt(&self, table: &'static str, column: &'static str) -> Result<Option<$type>> {
            match self {
                Self::Sqlite(row) => row.try_get(column),
                Self::Postgres(row) => row.try_get(column),
            }
            .map_err(|_| Error::Corrupt { table, column })
        }
    )*};
}

impl Row {
    getters! {
        int opt_int i64;
        text opt_text String;
        bytes opt_bytes Vec<u8>;
    }

    pub(crate) fn flag(&self, table: &'static str, column: &'static str) -> Result<bool> {
        self.int(table, column).map(|value| value != 0)
    }

    pub(crate) fn time(&self, table: &'static str, column: &'static str) -> Result<Timestamp> {
        self.int(table, column).map(Timestamp)
    }

    /// A text column that holds a model type.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<T> {
        self.text(table, column)?
            .parse()
            .map_err(|_| Error::Corrupt { table, column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, Location};

    #[tokio::test]
    async fn each_binds_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Location::Sqlite(folder.path().join("t.db"));
        let sqlite = Db::open(&sqlite).await.unwrap();
        let url =
            std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
        let postgres = PgPool::connect(&url).await.unwrap();
        for mut tx in [
            sqlite.reader().await.unwrap(),
            Tx::postgres_reader(&postgres).await.unwrap(),
        ] {
            let statement = "select cast($1 as bigint) as number, cast($2 as text) as word";
            let query = tx.query(statement).bind(7_i64).bind("seven");
            let mut found = Vec::new();
            let keep = |row: Row| {
                found.push((row.int("bound", "number")?, row.text("bound", "word")?));
                Ok::<_, Error>(())
            };
            query.each(keep).await.unwrap();
            assert_eq!(found, [(7, "seven".to_owned())]);
        }
    }

    #[test]
    fn a_statement_is_named_by_its_table_and_verb() {
        let names = [
            ("insert into tag (a) values ($1)", "db.tag.insert"),
            ("update upload set a = $1", "db.upload.update"),
            ("delete from tag where a = $1", "db.tag.delete"),
            (
                "select r.name from repository r\n where a = $1",
                "db.repository.select",
            ),
            ("begin immediate", "db.transaction.begin"),
            ("project.list", "db.project.list"),
            (
                "with free as (select shard from project_usage) update project_usage u set a = 1",
                "db.project_usage.update",
            ),
            ("select pg_advisory_xact_lock(1)", "db.transaction.select"),
            ("", "db.transaction.statement"),
        ];
        for (sql, name) in names {
            assert_eq!(span_name(sql), name, "{sql}");
        }
    }
}
