//! Where the database is.

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;

use crate::error::{Error, Result};

/// Where the database is. It does not print, because the URL may hold a password.
#[derive(Clone)]
pub enum Location {
    /// A SQLite file, made when it is absent.
    Sqlite(PathBuf),
    /// A PostgreSQL server's URL.
    Postgres(String),
}

impl Location {
    /// Checks it without connecting.
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
