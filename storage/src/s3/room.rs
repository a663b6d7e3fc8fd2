//! Memory for parts on their way to the bucket, for all writers together. A slow upload holds the memory of a part
//! until the part is full, so this memory is shared among clients like that for bodies.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::{Budget, Holder, Reservation};
use crate::{Error, Result};

/// How long a writer waits for memory.
const PATIENCE: Duration = Duration::from_secs(300);

/// The memory, in MiB.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Budget>);

impl Room {
    pub(super) fn new(mib: u32) -> Self {
        Self(Budget::new(mib.max(1) as usize))
    }

    /// Takes memory for a part, or a whole share if the part is larger; returned when dropped.
    pub(super) async fn take(&self, key: &str, holder: Holder, bytes: u64) -> Result<Reservation> {
        let mib = usize::try_from(bytes.div_ceil(1 << 20)).unwrap_or(usize::MAX);
        let taken = self.0.take(holder, mib, PATIENCE).await;
        taken.map_err(|_| Error::Busy(key.to_owned(), PATIENCE))
    }
}
