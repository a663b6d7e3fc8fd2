//! The store of the blobs: whether it answers, is the database's, and can be written.

use std::sync::Arc;

use db::Db;
use storage::health::{Health, Probe};

use super::finding::{Check, Finding};
use crate::config::{Backend, Config};
use crate::stores;

const CHECK: Check = Check {
    name: "storage",
    advice: "correct [storage], or mount the folder; see \"Database and store\" in docs/operators.md",
};

pub(super) async fn check(config: Arc<Config>, db: Option<Db>) -> Vec<Finding> {
    match db {
        Some(db) => CHECK.run(move || look(config, db)).await,
        None => vec![CHECK.unchecked()],
    }
}

async fn look(config: Arc<Config>, db: Db) -> anyhow::Result<Vec<Finding>> {
    let folder = config.blobs();
    // Opening the store would make it.
    anyhow::ensure!(
        config.storage.backend != Backend::Files || folder.is_dir(),
        "there is no folder {}",
        folder.display()
    );
    let stores = stores::open(&config).await?;
    let attached = jobs::stores::verify(&db, &stores).await?;
    let looked = attached.look(&stores, Probe::Write).await;
    let findings = looked.into_iter().map(|(name, health)| of(&name, health));
    Ok(findings.collect())
}

fn of(name: &str, health: Health) -> Finding {
    let failed = |what: &str, error: storage::Error| {
        let error = anyhow::Error::from(error).context(format!("{name} cannot be {what}"));
        CHECK.failed(&error)
    };
    match health {
        Health::Well => CHECK.ok(format!("{name} belongs to the database and can be written")),
        Health::Down(error) => failed("read", error),
        Health::ReadOnly(error) => failed("written", error),
        Health::Wrong(_) => CHECK.fail(format!("{name} is another store"), CHECK.advice),
    }
}
