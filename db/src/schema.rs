//! The migrations, held in the program. Not by `sqlx::migrate!`: sqlx's macros build SQLite, PostgreSQL's
//! client and TLS once more, for the compiler.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate, MigrateError, MigrationType, Migrator};

use crate::error::{Error, Result};
use crate::sql::is_pooler_conflict;

/// Where sqlx records migrations.
const TABLE: &str = "_sqlx_migrations";

/// Number, name and text of each migration; both databases have the same.
macro_rules! files {
    ($folder:literal: $($number:literal $name:literal $file:literal),+) => {
        [$(($number, $name, include_str!(concat!("../migrations/", $folder, "/", $file)))),+]
    };
    ($folder:literal) => {
        files!($folder:
            1 "registry" "0001_registry.sql")
    };
}

pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(files!("sqlite")));
pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(files!("postgres")));

fn migrator<const N: usize>(files: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migrations = files.map(|(version, name, text)| {
        let text = text.into_sql_str();
        sqlx::migrate::Migration::new(version, name.into(), MigrationType::Simple, text, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    // `Db::open` sees to it that one process migrates at a time.
    migrator.set_locking(false);
    migrator
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

/// Brings a database up to date.
pub(crate) async fn migrate<C: Migrate>(migrator: &Migrator, connection: &mut C) -> Result<()>
where
    for<'c> &'c mut C: sqlx::Acquire<'c>,
    for<'c> <&'c mut C as sqlx::Acquire<'c>>::Connection: std::ops::Deref<Target: Migrate>,
{
    migrator.run(connection).await.map_err(not_migrated)
}

/// The migrations of the program, and whether a database has them.
pub(crate) async fn list<C: Migrate>(
    known: &Migrator,
    connection: &mut C,
) -> Result<Vec<Migration>> {
    let applied = applied(connection).await?;
    let all = known.iter().map(|migration| Migration {
        version: migration.version,
        name: migration.description.to_string(),
        applied: applied.contains(&migration.version),
    });
    Ok(all.collect())
}

/// The number of the newest migration of the program, the same for both databases.
pub(crate) fn newest() -> i64 {
    SQLITE
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

/// Versions of the migrations that a database has.
async fn applied<C: Migrate>(connection: &mut C) -> Result<Vec<i64>> {
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
            if is_pooler_conflict(&error) =>
        {
            Error::Pooler(error)
        }
        error => Error::Migrate(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::migrate::Migrator;

    use super::{POSTGRES, SQLITE};

    /// The folder, read as sqlx reads one, holds what the program holds.
    async fn holds_all(folder: &str, held: &Migrator) {
        let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs this"))
            .join("migrations")
            .join(folder);
        let found = Migrator::new(folder).await.expect("migrations");
        let told = |migrator: &Migrator| -> Vec<_> {
            let told = migrator.iter().map(|migration| {
                let name = migration.description.to_string();
                (migration.version, name, migration.checksum.to_vec())
            });
            told.collect()
        };
        assert_eq!(told(&found), told(held));
    }

    #[tokio::test]
    async fn no_migration_is_left_out() {
        holds_all("sqlite", &SQLITE).await;
        holds_all("postgres", &POSTGRES).await;
    }
}
