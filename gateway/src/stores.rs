//! Opens the configured blob stores, and compares them with the database.

use anyhow::Context as _;
use db::Db;
use jobs::stores::{self, Attached, Place, Stores};
use model::Clock;
use storage::{Files, S3};

use crate::config::{Backend, Config};

/// The configured stores; remote ones are checked.
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
            let answered = store.probe().await;
            answered.map_err(|error| of_bucket(&settings.endpoint, error))?;
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

/// Why a bucket cannot be used, and which setting to check.
fn of_bucket(endpoint: &str, error: storage::Error) -> anyhow::Error {
    let is_unreachable = matches!(error, storage::Error::Unavailable { .. });
    let error = anyhow::Error::from(error);
    if !is_unreachable {
        return error.context("[storage.s3]");
    }
    let server = match endpoint {
        "" => "AWS",
        endpoint => endpoint,
    };
    error.context(format!(
        "[storage.s3] endpoint: {server} does not answer as an S3 server does: correct it, or check that server"
    ))
}

/// The stores for a server: a new store is bound to a new database.
pub(crate) async fn attach(
    config: &Config,
    db: &Db,
    clock: &dyn Clock,
) -> anyhow::Result<(Stores, Attached)> {
    let stores = open(config).await?;
    let attached = stores::attach(db, &stores, clock).await?;
    Ok((stores, attached))
}

/// The stores for a command, which must be the server's.
pub(crate) async fn verified(config: &Config, db: &Db) -> anyhow::Result<Stores> {
    let stores = open(config).await?;
    stores::verify(db, &stores).await?;
    Ok(stores)
}

/// Refuses a command whose settings name another store or another database than the server's. An unreachable store is
/// no reason to refuse: the command itself does not need it.
pub(crate) async fn refuse_mismatch(config: &Config, db: &Db) -> anyhow::Result<()> {
    let Ok(stores) = open(config).await else {
        return Ok(());
    };
    match stores::verify(db, &stores).await {
        Err(jobs::Error::Mismatch(mismatch)) => Err(mismatch.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_named_with_its_setting() {
        let mut config = Config::default();
        config.storage.backend = Backend::S3;
        let settings = &mut config.storage.s3;
        // Nothing listens there.
        settings.endpoint = "http://127.0.0.1:1".to_owned();
        settings.bucket = "blobs".to_owned();
        settings.access_key_id = "key".to_owned();
        settings.secret_access_key = storage::s3::SecretKey::new("secret".to_owned());
        let error = open(&config).await.err().expect("it is refused");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("[storage.s3] endpoint: http://127.0.0.1:1 "),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_had_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut config = Config::default();
        config.storage.path = file.join("blobs").display().to_string();
        let error = open(&config).await.err().expect("it is refused");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("[storage] path: ") && text.contains("may read and write"),
            "{text}"
        );
    }
}
