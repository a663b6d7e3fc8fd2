//! The blob stores that the settings name, opened, and compared with the database.

use anyhow::Context as _;
use db::Db;
use jobs::stores::{self, Attached, Place, Stores};
use model::Clock;
use storage::{Files, S3};

use crate::config::{Backend, Config};

/// The stores that the settings name, looked at where they are not on this machine.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Stores> {
    let backend = config.storage.backend;
    let leaving = match config.moving_from() {
        None => None,
        Some(from) => {
            anyhow::ensure!(
                from != backend,
                "[storage] moving_from is the backend itself: set it to the other one, or to none"
            );
            Some(open_one(config, from).await?)
        }
    };
    let current = open_one(config, backend).await?;
    Ok(Stores { current, leaving })
}

async fn open_one(config: &Config, backend: Backend) -> anyhow::Result<Place> {
    match backend {
        Backend::Files => {
            let folder = config.blobs();
            Ok(Place {
                store: std::sync::Arc::new(Files::open(&folder)?),
                name: format!("the folder {}", folder.display()),
            })
        }
        Backend::S3 => {
            let settings = &config.storage.s3;
            let store = S3::open(settings).context("[storage.s3]")?;
            store.probe().await.context("[storage.s3]")?;
            let folder = match settings.prefix.trim_matches('/') {
                "" => String::new(),
                folder => format!(", folder {folder}"),
            };
            Ok(Place {
                store: std::sync::Arc::new(store),
                name: format!("the bucket {}{folder}", settings.bucket),
            })
        }
    }
}

/// The stores for a server: a new one is tied to a new database.
pub(crate) async fn attach(
    config: &Config,
    db: &Db,
    clock: &dyn Clock,
) -> anyhow::Result<(Stores, Attached)> {
    let stores = open(config).await?;
    let attached = stores::attach(db, &stores, clock).await?;
    Ok((stores, attached))
}

/// The stores for a command, which must be those that the server uses.
pub(crate) async fn verified(config: &Config, db: &Db) -> anyhow::Result<Stores> {
    let stores = open(config).await?;
    stores::verify(db, &stores).await?;
    Ok(stores)
}

/// Refuses a command whose settings name another store or another database than the server's. A store that
/// cannot be asked is no reason: the command itself does not need it.
pub(crate) async fn refuse_mismatch(config: &Config, db: &Db) -> anyhow::Result<()> {
    let Ok(stores) = open(config).await else {
        return Ok(());
    };
    match stores::verify(db, &stores).await {
        Err(jobs::Error::Mismatch(mismatch)) => Err(mismatch.into()),
        _ => Ok(()),
    }
}
