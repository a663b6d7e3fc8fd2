//! The store of the blobs: whether it answers, is the database's, and can be written.

use std::sync::Arc;

use db::Db;
use storage::health::{Health, Probe};

use super::finding::{Check, Finding};
use crate::config::Config;
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
        !config.keeps_files() || folder.is_dir(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Backend, MovingFrom};

    #[tokio::test]
    async fn the_folder_of_the_old_store_is_not_made_either() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = folder.path().to_owned();
        config.storage.backend = Backend::S3;
        config.storage.moving_from = MovingFrom::Files;
        let db = Db::open(&config.database()).await.unwrap();
        let blobs = config.blobs();
        let refused = look(Arc::new(config), db.clone()).await.unwrap_err();
        assert!(refused.to_string().starts_with("there is no folder"));
        assert!(!blobs.exists());
        db.close().await;
    }
}
