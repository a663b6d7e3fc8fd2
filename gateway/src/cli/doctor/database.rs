//! The database: whether it answers, with which schema, how many connections it has, its master key and its clock.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use db::clock::DatabaseClock;
use db::{Connections, Db, ServerFacts, installation};
use model::SystemClock;
use tenancy::secret::MasterKey;

use super::super::local;
use super::finding::{Check, Finding, apart};
use crate::bootstrap;
use crate::config::Config;
use crate::health::watch::{LARGEST_SKEW, SKEW_WARNED_OF, is_off};

const DATABASE: Check = Check {
    name: "database",
    advice: "start its server, and look at [database] url or [server] data",
};
const KEY: Check = Check {
    name: "key",
    advice: "restore the master key's file from its copy, or correct [secrets] master_key_file",
};
/// What to do about a database that no server has ever used.
const UNUSED: &str = "correct [database] url, or [server] data with SQLite; if the installation is new, start the server";
const CLOCK: Check = Check {
    name: "clock",
    advice: "run a time service on this machine and on that of the database",
};

/// Opens the database. It is not open if the schema lacks steps: the doctor changes none.
pub(super) async fn open(config: Arc<Config>) -> (Vec<Finding>, Option<Db>) {
    match apart(move || look(config)).await {
        Ok((finding, db)) => (vec![finding], db),
        Err(error) => (vec![DATABASE.failed(&error)], None),
    }
}

async fn look(config: Arc<Config>) -> anyhow::Result<(Finding, Option<Db>)> {
    let location = config.database();
    // Errors of connecting may quote the URL; those of checking it do not.
    location.check()?;
    local::refuse_absent(&location)?;
    let steps = Db::migrations(&location).await?;
    let missing = steps.iter().filter(|step| !step.applied);
    let missing: Vec<String> = missing.map(|step| step.version.to_string()).collect();
    if missing.len() == steps.len() {
        let found = "no server ever ran on this database";
        return Ok((DATABASE.fail(found, UNUSED), None));
    }
    if !missing.is_empty() {
        let found = format!("the schema lacks {}", missing.join(", "));
        let advice = "start the server with this version, or run `gantry db migrate`";
        return Ok((DATABASE.warning(found, advice), None));
    }
    let db = Db::open(&location).await?;
    let finding = of_server(&db.server().await?);
    Ok((finding, Some(db)))
}

fn of_server(facts: &ServerFacts) -> Finding {
    let found = format!("{}, schema {}", facts.version, Db::newest_schema());
    let Some(Connections {
        most,
        open,
        held,
        of_process,
    }) = facts.connections
    else {
        return DATABASE.ok(found);
    };
    let found = format!("{found}, {open} of {most} connections open");
    // What a running server holds already, it does not open again.
    if most - open < of_process - held.min(of_process) {
        let found = format!("{found}, and a process of Gantry opens up to {of_process}");
        let advice = "raise max_connections of PostgreSQL, or let others open fewer";
        return DATABASE.warning(found, advice);
    }
    DATABASE.ok(found)
}

/// Reads the master key, and compares it with the database.
pub(super) async fn key(
    config: Arc<Config>,
    db: Option<Db>,
) -> (Vec<Finding>, Option<Arc<MasterKey>>) {
    let Some(db) = db else {
        return (vec![KEY.unchecked()], None);
    };
    match apart(move || read_key(config, db)).await {
        Ok((finding, master)) => (vec![finding], Some(Arc::new(master))),
        Err(error) => (vec![KEY.failed(&error)], None),
    }
}

async fn read_key(config: Arc<Config>, db: Db) -> anyhow::Result<(Finding, MasterKey)> {
    let master = MasterKey::load(&config.master_key())?;
    let authority = installation::get(&mut db.reader().await?, bootstrap::CA).await?;
    let finding = match authority {
        Some(_) => KEY.ok("the master key is the one that the database was made with"),
        None => {
            let found =
                "the master key can be read, but the database has nothing yet to compare it with";
            KEY.warning(found, "start the server, which makes its private CA")
        }
    };
    bootstrap::verify_master_key(&db, &master).await?;
    Ok((finding, master))
}

/// Compares this machine's clock with the database's.
pub(super) async fn clock(db: Option<Db>) -> Vec<Finding> {
    match db {
        None => vec![CLOCK.unchecked()],
        Some(db) if !db.is_shared() => {
            vec![CLOCK.ok("with SQLite, this machine's clock is the only one")]
        }
        Some(db) => CLOCK.run(move || compare(db)).await,
    }
}

async fn compare(db: Db) -> anyhow::Result<Vec<Finding>> {
    let ahead = DatabaseClock::new(Arc::new(SystemClock)).compare(&db).await;
    let ahead = ahead.context("cannot ask the database for the time")?;
    let seconds = Duration::from_micros(ahead.unsigned_abs()).as_secs_f64();
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let found = format!("the database's clock is {seconds:.3} s {way} this machine's");
    Ok(vec![if is_off(ahead, LARGEST_SKEW) {
        CLOCK.fail(found, CLOCK.advice)
    } else if is_off(ahead, SKEW_WARNED_OF) {
        CLOCK.warning(found, CLOCK.advice)
    } else {
        CLOCK.ok(found)
    }])
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn connections_that_the_running_server_holds_are_not_wanted_twice() {
        let level = |open: i64, held: i64| {
            let connections = Connections {
                most: 100,
                open,
                held,
                of_process: 16,
            };
            let facts = ServerFacts {
                version: "PostgreSQL 16.1".to_owned(),
                connections: Some(connections),
            };
            of_server(&facts).level
        };
        assert_eq!(level(84, 0), Level::Ok);
        assert_eq!(level(85, 0), Level::Warning);
        assert_eq!(level(99, 16), Level::Ok);
        assert_eq!(level(100, 40), Level::Ok);
        assert_eq!(level(99, 14), Level::Warning);
    }
}
