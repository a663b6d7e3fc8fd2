//! What replicas share: a database in PostgreSQL, a bucket in SeaweedFS, a master key.

use std::path::{Path, PathBuf};

use crate::cmd::Cmd;
use crate::postgres::{Durability, Postgres};
use crate::scratch::Scratch;
use crate::seaweed::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Seaweed};

/// All of it running; dropping it ends and removes it.
pub(crate) struct Backing {
    postgres: Postgres,
    seaweed: Seaweed,
    scratch: Scratch,
    database: String,
}

impl Backing {
    /// Starts it; `binary` is the server, which makes the key.
    pub(crate) fn start(binary: &Path) -> Result<Self, String> {
        let postgres = Postgres::start(Durability::Fast)?;
        let database = postgres.create_database("gantry")?;
        let made = Self {
            postgres,
            seaweed: Seaweed::start()?,
            scratch: Scratch::new("backing")?,
            database,
        };
        Cmd::local(binary)
            .words("secret new")
            .arg(made.key())
            .run()?;
        Ok(made)
    }

    /// The settings by which each replica finds it, as environment variables.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            set("GANTRY_DATABASE__URL", &self.database),
            set(
                "GANTRY_SECRETS__MASTER_KEY_FILE",
                &self.key().to_string_lossy(),
            ),
            set("GANTRY_STORAGE__BACKEND", "s3"),
            set("GANTRY_STORAGE__S3__ENDPOINT", &self.seaweed.endpoint()),
            set("GANTRY_STORAGE__S3__REGION", REGION),
            set("GANTRY_STORAGE__S3__BUCKET", BUCKET),
            set("GANTRY_STORAGE__S3__ACCESS_KEY_ID", ACCESS_KEY),
            set("GANTRY_STORAGE__S3__SECRET_ACCESS_KEY", SECRET_KEY),
            set("GANTRY_STORAGE__S3__PATH_STYLE", "true"),
        ]
    }

    pub(crate) fn seaweed(&self) -> &Seaweed {
        &self.seaweed
    }

    pub(crate) fn seaweed_mut(&mut self) -> &mut Seaweed {
        &mut self.seaweed
    }

    pub(crate) fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    pub(crate) fn postgres_mut(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    fn key(&self) -> PathBuf {
        self.scratch.join("master.key")
    }
}
