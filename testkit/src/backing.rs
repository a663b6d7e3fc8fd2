//! What replicas share: a database in PostgreSQL, a bucket in SeaweedFS, a master key.

use std::path::PathBuf;

use crate::binary::Binary;
use crate::cmd::succeed;
use crate::postgres::{Durability, Postgres};
use crate::scratch::Scratch;
use crate::seaweed::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Seaweed};

/// All of it running; dropping it ends and removes it.
pub struct Backing {
    postgres: Postgres,
    seaweed: Seaweed,
    scratch: Scratch,
    database: String,
}

impl Backing {
    /// Starts it; `binary` is the server, which makes the key.
    pub fn start(binary: &Binary, durability: Durability) -> Result<Self, String> {
        let postgres = Postgres::start(durability)?;
        let database = postgres.create_database("gantry")?;
        let made = Self {
            postgres,
            seaweed: Seaweed::start()?,
            scratch: Scratch::new("backing")?,
            database,
        };
        succeed(binary.command().args(["secret", "new"]).arg(made.key()))?;
        Ok(made)
    }

    /// The settings by which each replica finds it, as environment variables.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings_of(&self.database, BUCKET)
    }

    /// A database and a bucket of its own for one more registry.
    pub fn room(&self, name: &str) -> Result<Room<'_>, String> {
        let database = self.postgres.create_database(name)?;
        self.seaweed.make_bucket(name)?;
        Ok(Room {
            settings: self.settings_of(&database, name),
            backing: self,
            database,
            bucket: name.to_owned(),
        })
    }

    fn settings_of(&self, database: &str, bucket: &str) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            set("GANTRY_DATABASE__URL", database),
            set(
                "GANTRY_SECRETS__MASTER_KEY_FILE",
                &self.key().to_string_lossy(),
            ),
            set("GANTRY_STORAGE__BACKEND", "s3"),
            set("GANTRY_STORAGE__S3__ENDPOINT", &self.seaweed.endpoint()),
            set("GANTRY_STORAGE__S3__REGION", REGION),
            set("GANTRY_STORAGE__S3__BUCKET", bucket),
            set("GANTRY_STORAGE__S3__ACCESS_KEY_ID", ACCESS_KEY),
            set("GANTRY_STORAGE__S3__SECRET_ACCESS_KEY", SECRET_KEY),
            set("GANTRY_STORAGE__S3__PATH_STYLE", "true"),
        ]
    }

    /// The database's URL.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn seaweed(&self) -> &Seaweed {
        &self.seaweed
    }

    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Crashes the database, which must be one that syncs, or the storage.
    pub fn crash(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::Database => self.postgres.stop_immediate(),
            Part::Storage => self.seaweed.kill(),
        }
    }

    /// Starts it again, and waits until it works.
    pub fn restart(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::Database => self.postgres.restart(),
            Part::Storage => self.seaweed.restart(),
        }
    }

    fn key(&self) -> PathBuf {
        self.scratch.join("master.key")
    }
}

/// What one of several registries has there for itself. Dropping it removes the bucket with all it holds;
/// the database is small and stays.
pub struct Room<'a> {
    backing: &'a Backing,
    /// The settings by which a server finds it, as environment variables.
    pub settings: Vec<(String, String)>,
    /// The URL of the database.
    pub database: String,
    pub bucket: String,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.backing.seaweed.drop_bucket(&self.bucket) {
            eprintln!("the bucket {} stays: {error}", self.bucket);
        }
    }
}

/// What may crash while servers go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Database,
    Storage,
}
