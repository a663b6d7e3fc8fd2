//! Writes the pulls, logins and refusals of the last second.

use crate::{Jobs, Result};

impl Jobs {
    /// Writes what waits in memory.
    ///
    /// # Errors
    /// When the database cannot be written; what waited goes on waiting.
    pub async fn flush(&self) -> Result<()> {
        // Neither holds up the other.
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush(&self.db, &id, self.clock.now()).await?;
        Ok(pulls?)
    }

    /// Writes all that waits in memory, when the process ends.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_last(&self) -> Result<()> {
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush_last(&self.db, &id).await?;
        Ok(pulls?)
    }
}
