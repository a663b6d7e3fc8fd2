use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::*;

/// The folder, read as sqlx reads one, holds what the program holds.
async fn holds_all(folder: &str, held: &Schema) {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs this"))
        .join("migrations")
        .join(folder);
    let found = Migrator::new(folder).await.expect("migrations");
    let told = |migrator: &Migrator| -> Vec<_> {
        let told = migrator.iter().map(|step| {
            let name = step.description.to_string();
            (step.version, name, step.checksum.to_vec(), step.no_tx)
        });
        told.collect()
    };
    assert_eq!(told(&found), told(&held.migrator()));
}

#[tokio::test]
async fn no_step_is_left_out() {
    holds_all("sqlite", &SQLITE).await;
    holds_all("postgres", &POSTGRES).await;
}

const INDEX: &str =
    "-- no-transaction\ncreate index concurrently if not exists thing_name on thing (name);";

/// A schema of so many steps; the last says who may run beside it.
fn steps(last: usize, least: i64) -> Schema {
    let texts = [
        ("create table thing (name text not null);", 1),
        ("insert into thing values ('a'), ('a');", 1),
        (INDEX, 1),
    ];
    let step = |(version, (text, bound)): (i64, (&'static str, i64))| Step {
        version,
        name: "step",
        least: if version == last as i64 { least } else { bound },
        text,
    };
    Schema {
        steps: (1..).zip(texts).take(last).map(step).collect(),
    }
}

/// A database of its own on the server that the tests use.
async fn fresh(name: &str) -> PgConnectOptions {
    let url = std::env::var("GANTRY_TEST_POSTGRES").expect("GANTRY_TEST_POSTGRES names a server");
    let options: PgConnectOptions = url.parse().unwrap();
    let database = format!("gantry_schema_{name}_{}", std::process::id());
    let mut server = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("create database {database}")))
        .execute(&mut server)
        .await
        .unwrap();
    options.database(&database)
}

/// What a program that knows a schema meets at its start.
async fn start(options: &PgConnectOptions, schema: &Schema) -> Result<()> {
    migrate_alone(options, schema).await
}

fn is_refused(started: Result<()>) {
    let error = started.unwrap_err();
    let bounds = matches!(
        error,
        Error::Outdated {
            schema: 2,
            least: 2,
            known: 1
        }
    );
    assert!(bounds, "{error:?}");
    let text = error.to_string();
    for part in [
        "version 2",
        "know schema 2",
        "knows schema 1",
        "start the version",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn an_older_process_starts_beside_a_newer_one_within_the_bound_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        let options = SqliteConnectOptions::new().filename(folder.path().join(name));
        options.create_if_missing(true).connect().await.unwrap()
    };
    let (mut within, mut beyond) = (open("within").await, open("beyond").await);
    for connection in [&mut within, &mut beyond] {
        migrate(&steps(1, 1), connection).await.unwrap();
    }
    migrate(&steps(2, 1), &mut within).await.unwrap();
    migrate(&steps(1, 1), &mut within).await.unwrap();
    migrate(&steps(2, 1), &mut within).await.unwrap();
    migrate(&steps(2, 2), &mut beyond).await.unwrap();
    is_refused(migrate(&steps(1, 1), &mut beyond).await);
    migrate(&steps(2, 2), &mut beyond).await.unwrap();
}

#[tokio::test]
async fn an_older_process_starts_beside_a_newer_one_within_the_bound_on_postgresql() {
    let (within, beyond) = (fresh("within").await, fresh("beyond").await);
    start(&within, &steps(2, 1)).await.unwrap();
    start(&within, &steps(1, 1)).await.unwrap();
    start(&beyond, &steps(1, 1)).await.unwrap();
    start(&beyond, &steps(2, 2)).await.unwrap();
    is_refused(start(&beyond, &steps(1, 1)).await);
    start(&beyond, &steps(2, 2)).await.unwrap();
}

#[tokio::test]
async fn a_list_of_steps_makes_nothing_in_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("empty"));
    let mut sqlite = options.create_if_missing(true).connect().await.unwrap();
    let mut postgres = fresh("empty").await.connect().await.unwrap();
    let schema = steps(2, 1);
    let listed = [
        list(&schema, &mut sqlite).await.unwrap(),
        list(&schema, &mut postgres).await.unwrap(),
    ];
    for listed in listed {
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|step| !step.applied), "{listed:?}");
    }
    let made: i64 = sqlx::query_scalar("select count(*) from sqlite_schema")
        .fetch_one(&mut sqlite)
        .await
        .unwrap();
    assert_eq!(made, 0);
    let made = "select count(*) from pg_class
        where relnamespace = (select oid from pg_namespace where nspname = current_schema())";
    let made: i64 = sqlx::query_scalar(made)
        .fetch_one(&mut postgres)
        .await
        .unwrap();
    assert_eq!(made, 0);
}

/// Whether the index is there and whole, and its step recorded.
async fn is_built(options: &PgConnectOptions) -> (Option<bool>, bool) {
    let mut connection = options.connect().await.unwrap();
    let index = "select indisvalid from pg_index where indexrelid = to_regclass('thing_name')";
    let index = sqlx::query_scalar(index)
        .fetch_optional(&mut connection)
        .await;
    let steps = list(&steps(3, 1), &mut connection).await.unwrap();
    (index.unwrap(), steps[2].applied)
}

#[tokio::test]
async fn an_index_is_built_while_others_wait_for_their_turn() {
    let options = fresh("turn").await;
    let (one, two, three) = (steps(3, 1), steps(3, 1), steps(3, 1));
    let started = tokio::join!(
        start(&options, &one),
        start(&options, &two),
        start(&options, &three),
    );
    for started in [started.0, started.1, started.2] {
        started.unwrap();
    }
    assert_eq!(is_built(&options).await, (Some(true), true));
}

#[tokio::test]
async fn an_index_whose_builder_was_killed_is_built_anew() {
    let options = fresh("killed").await;
    start(&options, &steps(2, 1)).await.unwrap();
    let mut other = options.connect().await.unwrap();
    // A transaction that the builder waits for.
    let mut old = other.begin().await.unwrap();
    sqlx::raw_sql("insert into thing values ('b')")
        .execute(&mut *old)
        .await
        .unwrap();
    let building = tokio::spawn({
        let options = options.clone();
        async move { start(&options, &steps(3, 1)).await }
    });
    let mut watch = options.connect().await.unwrap();
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
        and query like '%create index concurrently%' and wait_event_type = 'Lock'";
    let killed = async {
        loop {
            let killed: Option<bool> = sqlx::query_scalar(kill)
                .fetch_optional(&mut watch)
                .await
                .unwrap();
            match killed {
                Some(_) => return,
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), killed)
        .await
        .unwrap();
    building.await.unwrap().unwrap_err();
    assert_eq!(is_built(&options).await, (Some(false), false));
    old.commit().await.unwrap();
    start(&options, &steps(3, 1)).await.unwrap();
    assert_eq!(is_built(&options).await, (Some(true), true));
}

#[tokio::test]
async fn an_index_that_was_built_and_not_recorded_stays() {
    let options = fresh("unrecorded").await;
    start(&options, &steps(2, 1)).await.unwrap();
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("create index thing_name on thing (name)")
        .execute(&mut connection)
        .await
        .unwrap();
    let oid = "select to_regclass('thing_name')::oid::int8";
    let before: i64 = sqlx::query_scalar(oid)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    start(&options, &steps(3, 1)).await.unwrap();
    let after: i64 = sqlx::query_scalar(oid)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        (before, is_built(&options).await),
        (after, (Some(true), true))
    );
}
