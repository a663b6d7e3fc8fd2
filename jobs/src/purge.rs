//! Removes the content of deleted repositories, in one process at a time.

use crate::{Jobs, Result};

impl Jobs {
    /// Removes the content of deleted repositories, unless another process does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn purge_repositories(&self) -> Result<()> {
        if self.leads("purge").await? {
            self.registry.purge_repositories().await?;
        }
        Ok(())
    }
}
