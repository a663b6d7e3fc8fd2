//! The schema: its steps, which are part of the program, and which processes may run beside one another.
//!
//! The database has the version of the newest step that was run (`_sqlx_migrations`) and the minimum version that a
//! process must know to run on it (`schema_least`, where the greatest row counts). Each step says which processes may
//! keep running beside it: those that know at least its `least`. A process that knows less than the database's minimum
//! refuses to start. Otherwise an older process starts beside newer ones and ignores steps that it does not know.
//!
//! The minimum is raised before the first of the steps that require it. If a process dies between the two, older ones
//! are refused already, and the next newer one runs the steps.
//!
//! A step of PostgreSQL whose text begins with `-- no-transaction` runs outside one: a single
//! `create index concurrently if not exists`. It is recorded after it was run. If a process dies before that, the next
//! start runs it again: it first drops the index if building it did not finish, and skips a complete one.
//!
//! `sqlx::migrate!` is not used: sqlx's macros would build SQLite, PostgreSQL's client and TLS once more, for the
//! compiler.

mod turn;

use std::sync::LazyLock;

use sqlx::migrate::{Migrate, MigrateError, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

pub(crate) use turn::migrate_alone;

use crate::error::{Error, Result};
use crate::sql::is_pooler_conflict;

/// Where sqlx records steps.
const TABLE: &str = "_sqlx_migrations";
/// How sqlx marks steps that run outside a transaction.
const OUTSIDE: &str = "-- no-transaction";

/// A step of the schema.
struct Step {
    version: i64,
    name: &'static str,
    /// The minimum version that a process must know to run once this step was run.
    least: i64,
    text: &'static str,
}

impl Step {
    fn is_outside(&self) -> bool {
        self.text.starts_with(OUTSIDE)
    }

    /// The index that is built outside a transaction.
    fn index(&self) -> Option<&'static str> {
        let named = self.text.split_once("concurrently if not exists ")?.1;
        self.is_outside()
            .then_some(named.split_whitespace().next()?)
    }

    fn for_sqlx(&self) -> sqlx::migrate::Migration {
        let (kind, text) = (MigrationType::Simple, self.text.into_sql_str());
        sqlx::migrate::Migration::new(
            self.version,
            self.name.into(),
            kind,
            text,
            self.is_outside(),
        )
    }
}

/// The steps that this program knows.
pub(crate) struct Schema {
    steps: Vec<Step>,
}

/// Both databases have the same numbers, names and minimums.
macro_rules! schema {
    ($folder:literal: $($number:literal $name:literal $file:literal least $least:literal),+) => {
        Schema { steps: vec![$(Step {
            version: $number,
            name: $name,
            least: $least,
            text: include_str!(concat!("../migrations/", $folder, "/", $file)),
        }),+] }
    };
    ($folder:literal) => {
        schema!($folder:
            1 "registry" "0001_registry.sql" least 1,
            2 "applied" "0002_applied.sql" least 1)
    };
}

pub(crate) static SQLITE: LazyLock<Schema> = LazyLock::new(|| schema!("sqlite"));
pub(crate) static POSTGRES: LazyLock<Schema> = LazyLock::new(|| schema!("postgres"));

impl Schema {
    /// The number of the newest step.
    pub(crate) fn newest(&self) -> i64 {
        self.steps.last().map_or(0, |step| step.version)
    }

    fn migrator(&self) -> Migrator {
        let steps: Vec<_> = self.steps.iter().map(Step::for_sqlx).collect();
        let mut migrator = Migrator::with_migrations(steps);
        // `Db::open` ensures that one process migrates at a time.
        migrator.set_locking(false);
        // Newer processes may have run more.
        migrator.set_ignore_missing(true);
        migrator
    }
}

/// A step, as shown to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// What a connection does besides sqlx's [`Migrate`].
pub(crate) trait Bound: Migrate {
    /// Whether there is a record of steps.
    async fn has_record(&mut self) -> Result<bool, sqlx::Error>;

    /// The minimum version that a process must know; 0 where there is none yet.
    async fn least(&mut self) -> Result<i64, sqlx::Error>;

    /// Raises it.
    async fn raise(&mut self, least: i64) -> Result<(), sqlx::Error>;

    /// Drops an index whose building did not finish.
    async fn drop_unfinished(&mut self, index: &str) -> Result<(), sqlx::Error>;
}

macro_rules! bound {
    ($connection:ty, $record:literal, |$self:ident, $index:ident| $drop_unfinished:expr) => {
        impl Bound for $connection {
            async fn has_record(&mut self) -> Result<bool, sqlx::Error> {
                let tables = sqlx::query_scalar($record).persistent(false);
                let tables: i64 = tables.fetch_one(self).await?;
                Ok(tables > 0)
            }

            async fn least(&mut self) -> Result<i64, sqlx::Error> {
                sqlx::raw_sql("create table if not exists schema_least (version bigint not null)")
                    .execute(&mut *self)
                    .await?;
                let stored = "select coalesce(max(version), 0) from schema_least";
                sqlx::query_scalar(stored).persistent(false).fetch_one(self).await
            }

            async fn raise(&mut self, least: i64) -> Result<(), sqlx::Error> {
                let raised = format!("insert into schema_least (version) values ({least})");
                sqlx::raw_sql(AssertSqlSafe(raised)).execute(self).await?;
                Ok(())
            }

            async fn drop_unfinished(&mut $self, $index: &str) -> Result<(), sqlx::Error> {
                $drop_unfinished
            }
        }
    };
}

bound!(
    SqliteConnection,
    "select count(*) from sqlite_schema where type = 'table' and name = '_sqlx_migrations'",
    |self, _index| Ok(())
);
bound!(
    PgConnection,
    "select count(*) from pg_class where oid = to_regclass('_sqlx_migrations')",
    |self, index| {
        // If the process dies, the server ends the statement soon.
        sqlx::raw_sql("set client_connection_check_interval = '2s'")
            .execute(&mut *self)
            .await?;
        let unfinished =
            "select count(*) from pg_index where indexrelid = to_regclass($1) and not indisvalid";
        let unfinished = sqlx::query_scalar(unfinished).persistent(false).bind(index);
        let unfinished: i64 = unfinished.fetch_one(&mut *self).await?;
        if unfinished > 0 {
            let drop = format!("drop index concurrently if exists {index}");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(self).await?;
        }
        Ok(())
    }
);

/// Brings a database up to date.
///
/// # Errors
/// [`Error::Outdated`] if it was changed in a way that this program does not understand.
pub(crate) async fn migrate<C: Bound>(schema: &Schema, connection: &mut C) -> Result<()> {
    let failed = |error| not_migrated(MigrateError::Execute(error));
    let least = connection.least().await.map_err(failed)?;
    let applied = applied(connection).await?;
    if schema.newest() < least {
        return Err(Error::Outdated {
            schema: applied.iter().copied().max().unwrap_or_default(),
            least,
            known: schema.newest(),
        });
    }
    let missing = || {
        schema
            .steps
            .iter()
            .filter(|step| !applied.contains(&step.version))
    };
    let required = missing().map(|step| step.least).max().unwrap_or_default();
    if required > least {
        connection.raise(required).await.map_err(failed)?;
    }
    for index in missing().filter_map(Step::index) {
        connection.drop_unfinished(index).await.map_err(failed)?;
    }
    let run = schema.migrator();
    run.run_direct(None, connection, false)
        .await
        .map_err(not_migrated)
}

/// The steps of the program, and whether a database has them. Nothing is made for this: the database may be another's.
pub(crate) async fn list<C: Bound>(schema: &Schema, connection: &mut C) -> Result<Vec<Migration>> {
    let failed = |error| not_migrated(MigrateError::Execute(error));
    let applied = match connection.has_record().await.map_err(failed)? {
        true => recorded(connection).await?,
        false => Vec::new(),
    };
    let all = schema.steps.iter().map(|step| Migration {
        version: step.version,
        name: step.name.to_owned(),
        applied: applied.contains(&step.version),
    });
    Ok(all.collect())
}

/// The number of the newest step of the program, the same for both databases.
pub(crate) fn newest() -> i64 {
    SQLITE.newest()
}

/// Versions of the steps that a database has, whose record is made if there is none.
async fn applied<C: Migrate>(connection: &mut C) -> Result<Vec<i64>> {
    connection
        .ensure_migrations_table(TABLE)
        .await
        .map_err(not_migrated)?;
    recorded(connection).await
}

async fn recorded<C: Migrate>(connection: &mut C) -> Result<Vec<i64>> {
    let listed = connection.list_applied_migrations(TABLE).await;
    Ok(listed
        .map_err(not_migrated)?
        .iter()
        .map(|migration| migration.version)
        .collect())
}

/// Why steps could not be read or run.
fn not_migrated(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if is_pooler_conflict(&error) =>
        {
            Error::Pooler(error)
        }
        error => Error::Migrate(error),
    }
}

#[cfg(test)]
mod tests;
