//! Writes the pulls, logins and refusals of the last second.

use crate::{Jobs, Result};

impl Jobs {
    /// Writes all that waits in memory.
    ///
    /// # Errors
    /// When the database cannot be written; what waited goes on waiting.
    pub async fn flush(&self) -> Result<()> {
        self.registry.flush_pulls().await?;
        self.audit.flush(&self.db).await?;
        Ok(())
    }
}
