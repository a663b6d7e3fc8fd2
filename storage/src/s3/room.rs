//! Memory for parts on their way to the bucket, of all writers together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// How long a writer waits for memory.
const PATIENCE: Duration = Duration::from_secs(300);

/// The memory, in MiB.
#[derive(Clone, Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

impl Room {
    pub(super) fn new(mib: u32) -> Self {
        let all = mib.max(1);
        Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Takes memory for a part, or all there is where the part is larger; given back when dropped.
    pub(super) async fn take(&self, key: &str, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let taking = Arc::clone(&self.free).acquire_many_owned(mib.min(self.all));
        match tokio::time::timeout(PATIENCE, taking).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Error::Busy(key.to_owned(), PATIENCE)),
        }
    }
}
