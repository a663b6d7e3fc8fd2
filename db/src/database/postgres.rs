//! Opens PostgreSQL: a pool whose connections notice a lost server, and time limits for each session and transaction.

use std::time::Duration;

use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::error::{Error, Result};
use crate::schema;

/// Connections of one process.
pub(super) const CONNECTIONS: u32 = 16;
/// How long a connection may be idle before it is checked.
const IDLE: Duration = Duration::from_secs(1);
/// How long a statement waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings of a connection to PostgreSQL. They are not given as startup options, which poolers refuse. Statements are
/// short: compiling one, or planning it again for each `limit`, takes about as long as running it. Each is written for
/// one plan without parallel workers: with these, pages of a large audit log were sorted in seconds instead of
/// milliseconds. A lost client or server is noticed within half a minute.
const SESSION: &str = "set jit = off; set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0;
    set statement_timeout = '30s'; set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '30s';
    set client_connection_check_interval = '2s';
    set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
    set tcp_user_timeout = '30s'";
/// The same limits for one transaction, on whichever connection a pooler runs it: a dead process never holds locks for
/// long.
pub(super) const BEGIN: &str = "begin isolation level read committed;
    set local statement_timeout = '30s'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'; set local client_connection_check_interval = '2s'";
/// One snapshot for as long as a reader needs it: a statement may take any time, but the reader may not be idle for
/// long.
pub(super) const SNAPSHOT: &str = "begin isolation level repeatable read read only;
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '10min'";

/// A pool for the server, with the schema up to date.
pub(super) async fn open(url: &str) -> Result<PgPool> {
    let options = options(url)?;
    let shown = format!("at {}:{}", options.get_host(), options.get_port());
    let migrated = schema::migrate_alone(&options, &schema::POSTGRES).await;
    migrated.map_err(|error| match error {
        Error::Statement(_, error) => Error::Open(shown.clone(), error),
        error => error,
    })?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(|connection, rest| Box::pin(is_usable(connection, rest)))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // If this fails, the first statement fails too, and replaces the connection.
                if let Err(error) = connection.execute(SESSION).await {
                    tracing::debug!(%error, "a connection to PostgreSQL could not be set up");
                }
                Ok(())
            })
        })
        .connect_lazy_with(options))
}

/// Whether a connection may be used. One that was returned a moment ago was checked then; if its server was lost since,
/// the first statement is run again on a new connection.
async fn is_usable(
    connection: &mut PgConnection,
    rest: PoolConnectionMetadata,
) -> Result<bool, sqlx::Error> {
    if rest.idle_for >= IDLE {
        connection.ping().await?;
    }
    Ok(true)
}

/// How to connect to a server. Poolers refuse start parameters that they do not know.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error| Error::Open("at [database] url".to_owned(), error))?;
    Ok(options.extra_float_digits(None).disable_statement_logging())
}
