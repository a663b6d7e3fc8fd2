//! What PostgreSQL is told with each transaction, so that locks end with those who hold them.

use std::collections::BTreeMap;

use gantry_db::backup::{Column, Kind, Table, rows};
use sqlx::Connection as _;

use super::*;

/// How long locks may stay that nobody waits behind any more: longer than the server takes to notice (2 s), shorter
/// than a statement waits for a lock (10 s).
const LET_GO: Duration = Duration::from_secs(6);

async fn on_postgres(name: &str) -> (Db, String) {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let database = fresh(&url, name).await;
    let db = Db::open(&Location::Postgres(database.clone()))
        .await
        .unwrap();
    (db, database)
}

/// The server's settings, as a transaction has them.
async fn settings(
    reader: &mut gantry_db::Reader,
) -> Result<BTreeMap<String, Option<String>>, Error> {
    let column = |name: &str| Column {
        name: name.to_owned(),
        kind: Kind::Text,
    };
    let table = Table {
        table: "pg_settings".to_owned(),
        columns: vec![column("name"), column("setting")],
    };
    let mut found = BTreeMap::new();
    let keep = |row: &str| {
        let (name, value) = serde_json::from_str(row).unwrap();
        found.insert(name, value);
        Ok::<_, Error>(())
    };
    rows(reader, &table, keep).await?;
    Ok(found)
}

#[tokio::test]
async fn a_transaction_has_bounds() {
    let (db, _) = on_postgres("bounds").await;
    let (_, project) = team(&db).await;
    let written = db
        .write(|tx| Box::pin(async move { settings(tx).await }))
        .await
        .unwrap();
    let in_project = db.write_in(project, |tx| Box::pin(async move { settings(tx).await }));
    for settings in [written, in_project.await.unwrap()] {
        for (name, expected) in [
            ("transaction_isolation", "read committed"),
            ("statement_timeout", "30000"),
            ("lock_timeout", "10000"),
            ("idle_in_transaction_session_timeout", "30000"),
            ("client_connection_check_interval", "2000"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
        ] {
            assert_eq!(settings[name].as_deref(), Some(expected), "{name}");
        }
    }
    let mut view = db.snapshot().await.unwrap();
    let settings = settings(&mut view).await.unwrap();
    for (name, expected) in [
        ("transaction_isolation", "repeatable read"),
        ("transaction_read_only", "on"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "600000"),
    ] {
        assert_eq!(settings[name].as_deref(), Some(expected), "{name}");
    }
    drop(view);
    db.close().await;
}

async fn put(db: Db, keys: &'static [&'static str]) -> Result<(), Error> {
    let put = db.write(move |tx| {
        Box::pin(async move {
            for key in keys {
                installation::put(tx, key, b"x").await?;
            }
            Ok::<_, Error>(())
        })
    });
    put.await
}

/// Returns once a transaction waits for a lock of another.
async fn somebody_waits(server: &mut sqlx::PgConnection) {
    let waiting = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..200 {
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut *server)
            .await
            .unwrap();
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody waits for the lock");
}

#[tokio::test]
async fn whoever_gives_up_waiting_lets_go_of_locks() {
    let (db, database) = on_postgres("gives_up").await;
    put(db.clone(), &["first", "second"]).await.unwrap();
    let mut holder = sqlx::PgConnection::connect(&database).await.unwrap();
    let hold = "begin; update installation set value = value where name = 'second'";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let caller = tokio::spawn(put(db.clone(), &["first", "second"]));
    let mut server = sqlx::PgConnection::connect(&database).await.unwrap();
    somebody_waits(&mut server).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    // What it had locked is free, though what it waited for is not.
    let next = tokio::time::timeout(LET_GO, put(db.clone(), &["first"])).await;
    next.expect("the lock is let go of").unwrap();
    drop(holder);
    db.close().await;
}
