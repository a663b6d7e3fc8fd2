//! What the database says of its server, for operators.

use super::Db;
use super::postgres::CONNECTIONS;
use crate::error::Result;

/// The database's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its name and version, such as `PostgreSQL 15.4`.
    pub version: String,
    /// Its connections; `None` for SQLite, which has no server.
    pub connections: Option<Connections>,
}

/// The connections of a PostgreSQL server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many it allows to users that are no superusers.
    pub most: i64,
    /// How many are open, to all of its databases.
    pub open: i64,
    /// How many of these this user has open from this machine to this database, without the one that asks: those of a
    /// running server.
    pub held: i64,
    /// How many a process of Gantry opens under load.
    pub of_process: i64,
}

impl Db {
    /// What the database says of its server.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn server(&self) -> Result<ServerFacts> {
        let mut reader = self.reader().await?;
        if !self.is_shared() {
            let row = reader.query("select 'SQLite ' || sqlite_version() as version");
            return Ok(ServerFacts {
                version: row.one().await?.get("server", "version")?,
                connections: None,
            });
        }
        let row = reader
            .query(
                "select 'PostgreSQL ' || current_setting('server_version') as version,
                        cast(current_setting('max_connections') as bigint)
                            - cast(current_setting('superuser_reserved_connections') as bigint)
                            - coalesce(cast(current_setting('reserved_connections', true) as bigint), 0) as most,
                        (select cast(coalesce(sum(numbackends), 0) as bigint) from pg_stat_database) as used,
                        (select count(*) from pg_stat_activity
                         where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
                             and client_addr is not distinct from inet_client_addr()) as held",
            )
            .one()
            .await?;
        Ok(ServerFacts {
            version: row.get("server", "version")?,
            connections: Some(Connections {
                most: row.get("server", "most")?,
                open: row.get("server", "used")?,
                held: row.get("server", "held")?,
                of_process: CONNECTIONS.into(),
            }),
        })
    }
}
