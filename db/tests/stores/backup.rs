//! The database as rows of text, out of one kind and into the other.

use gantry_db::backup::{self, LEFT_OUT, TABLES};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::collecting::push;
use super::*;

/// All rows of all tables, sorted.
async fn rows(db: &Db) -> Vec<(String, Vec<String>)> {
    let mut tx = db.snapshot().await.unwrap();
    let mut all = Vec::new();
    for name in TABLES {
        let table = backup::describe(&mut tx, name).await.unwrap();
        let mut rows = Vec::new();
        let take = |row: &str| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            rows.push(row.to_string().to_lowercase());
            Ok::<_, Error>(())
        };
        backup::rows(&mut tx, &table, take).await.unwrap();
        rows.sort();
        all.push((name.to_owned(), rows));
    }
    all
}

/// Something in as many tables as come easily, with nulls and bytes among it.
async fn fill(db: &Db) -> ProjectId {
    let (_, project) = team(db).await;
    db.write(move |tx| {
        Box::pin(async move {
            installation::put(tx, "bytes", &[0, 1, 0xff]).await?;
            let name: RepositoryName = "team/app".parse().unwrap();
            push(tx, project, &name, ("quote ' and \n line", 10), NOW).await?;
            tx.record(&audit_log::event("a \"text\"")).await
        })
    })
    .await
    .unwrap();
    project
}

pub(crate) async fn copy(from: &Db, to: &Db) {
    let mut tx = from.snapshot().await.unwrap();
    for name in TABLES {
        let table = backup::describe(&mut tx, name).await.unwrap();
        let mut rows = Vec::new();
        let take = |row: &str| {
            rows.push(row.to_owned());
            Ok::<_, Error>(())
        };
        backup::rows(&mut tx, &table, take).await.unwrap();
        let rows = format!("[{}]", rows.join(","));
        to.write(move |tx| {
            Box::pin(async move {
                backup::put(tx, &table, &rows).await?;
                backup::count_on(tx, &table).await
            })
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_database_goes_into_the_other_kind_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = async |name: &str| {
        let path = folder.path().join(name);
        Db::open(&Location::Sqlite(path)).await.unwrap()
    };
    let url = std::env::var("GANTRY_TEST_POSTGRES").unwrap();
    let postgres = Location::Postgres(fresh(&url, "backup").await);
    let (first, second, third) = (
        sqlite("first").await,
        Db::open(&postgres).await.unwrap(),
        sqlite("third").await,
    );
    let project = fill(&first).await;
    let mut tx = second.reader().await.unwrap();
    assert!(backup::is_empty(&mut tx).await.unwrap());
    drop(tx);
    copy(&first, &second).await;
    copy(&second, &third).await;
    let expected = rows(&first).await;
    assert_eq!(rows(&second).await, expected);
    assert_eq!(rows(&third).await, expected);
    for db in [second, third] {
        let mut tx = db.reader().await.unwrap();
        assert!(!backup::is_empty(&mut tx).await.unwrap());
        let stored = installation::get(&mut tx, "bytes").await.unwrap();
        assert_eq!(stored, Some(vec![0, 1, 0xff]));
        drop(tx);
        // New rows get ids that nobody has.
        db.write(move |tx| {
            Box::pin(async move {
                let name: RepositoryName = "team/new".parse().unwrap();
                push(tx, project, &name, ("new", 10), NOW).await?;
                tx.record(&audit_log::event("new")).await
            })
        })
        .await
        .unwrap();
        db.close().await;
    }
}

#[tokio::test]
async fn a_snapshot_sees_one_moment() {
    on_both("snapshot", async |db| {
        let mut before = db.snapshot().await.unwrap();
        assert!(backup::is_empty(&mut before).await.unwrap());
        team(&db).await;
        assert!(backup::is_empty(&mut before).await.unwrap());
        drop(before);
        let mut after = db.snapshot().await.unwrap();
        assert!(!backup::is_empty(&mut after).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_backup_has_the_schema_of_the_program_that_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let at = Location::Sqlite(path.clone());
    Db::open(&at).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut newer = options.connect().await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (1000000, 'of a newer program', true, x'00', 0)",
    )
    .execute(&mut newer)
    .await
    .unwrap();
    drop(newer);
    let db = Db::open(&at).await.unwrap();
    let mut reader = db.reader().await.unwrap();
    let schema = backup::schema(&mut reader).await.unwrap();
    assert_eq!(schema, Db::newest_schema());
    drop(reader);
    db.close().await;
}

#[tokio::test]
async fn every_table_is_kept_or_left_out_on_purpose() {
    on_both("tables", async |db| {
        let mut tx = db.reader().await.unwrap();
        let mut tables = backup::tables(&mut tx).await.unwrap();
        tables.sort();
        let mut known: Vec<&str> = TABLES.into_iter().chain(LEFT_OUT).collect();
        known.sort_unstable();
        assert_eq!(tables, known);
    })
    .await;
}
