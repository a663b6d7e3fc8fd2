//! The running hash of an object: each batch is hashed off the async threads while the next one arrives.

use std::io;

use bytes::Bytes;
use model::Hasher;
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// A hash, and the job that works on it.
pub(super) enum Hashing {
    Idle(Hasher),
    Running(JoinHandle<Hasher>),
    /// A failure: no further bytes are hashed.
    Lost,
}

impl Hashing {
    /// Hashes a batch after those before it.
    pub(super) async fn update(&mut self, key: &str, batch: Vec<Bytes>) -> Result<()> {
        self.settle(key).await?;
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Idle(mut hasher) => Self::Running(tokio::task::spawn_blocking(move || {
                batch.iter().for_each(|bytes| hasher.update(bytes));
                hasher
            })),
            other => other,
        };
        Ok(())
    }

    /// The hash of all bytes so far.
    pub(super) async fn state(&mut self, key: &str) -> Result<Hasher> {
        self.settle(key).await.cloned()
    }

    async fn settle(&mut self, key: &str) -> Result<&Hasher> {
        if let Self::Running(job) = self {
            *self = job.await.map_or(Self::Lost, Self::Idle);
        }
        match self {
            Self::Idle(hasher) => Ok(hasher),
            _ => Err(Error::Failed {
                action: "hash",
                key: key.to_owned(),
                source: io::Error::other("an earlier write failed"),
            }),
        }
    }
}
