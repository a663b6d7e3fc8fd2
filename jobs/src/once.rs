//! A single pass over everything that is due, outside the serving processes: `gantry gc run`.

use std::time::{Duration, Instant};

use crate::{Jobs, Result};

/// The leases of the jobs that a pass runs in place of the serving processes.
const LEASES: [&str; 2] = ["gc", "untagged"];
/// How long a pass waits for a lease; a paused process keeps its own for a shorter time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it retries.
const RETRY: Duration = Duration::from_millis(200);

impl Jobs {
    /// Ends expired uploads, deletes untagged manifests that are due, removes what hangs on deleted manifests and
    /// repositories, and collects garbage, whether collection is paused or not. Returns false if another process is collecting.
    ///
    /// # Errors
    /// When the database or the store fails; the rest is collected next time.
    pub async fn collect_once(&self) -> Result<bool> {
        let collected = self.collect_as_leader().await;
        self.step_down().await?;
        collected
    }

    async fn collect_as_leader(&self) -> Result<bool> {
        for lease in LEASES {
            if !self.lead_within(lease, PATIENCE).await? {
                return Ok(false);
            }
        }
        self.expire_uploads().await?;
        // Rows that cannot be read do not keep the rest from being collected.
        let untagged = self.delete_untagged_now().await;
        let purged = self.purge_now().await;
        self.collect_unbounded().await?;
        untagged.and(purged).map(|()| true)
    }

    async fn lead_within(&self, lease: &'static str, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        while !self.leads(lease).await? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(true)
    }
}
