//! A connection to either database.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use super::pooled::Pooled;

pub(super) enum Connection {
    SqliteWriter(SqliteConnection),
    SqliteReader(PoolConnection<Sqlite>),
    SqliteSnapshot(Transaction<'static, Sqlite>),
    Postgres(Pooled),
}

/// A connection, as far as statements distinguish them.
pub(super) enum Dialect<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut Pooled),
}

impl Connection {
    pub(super) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(super) fn dialect(&mut self) -> Dialect<'_> {
        match self {
            Self::SqliteWriter(connection) => Dialect::Sqlite(connection),
            Self::SqliteReader(connection) => Dialect::Sqlite(connection),
            Self::SqliteSnapshot(transaction) => Dialect::Sqlite(transaction),
            Self::Postgres(pooled) => Dialect::Postgres(pooled),
        }
    }
}
