//! The migrations, held in the program. Not by `sqlx::migrate!`: sqlx's macros build SQLite, PostgreSQL's
//! client and TLS once more, for the compiler.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

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
        Migration::new(version, name.into(), MigrationType::Simple, text, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    // `Db::open` sees to it that one process migrates at a time.
    migrator.set_locking(false);
    migrator
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
