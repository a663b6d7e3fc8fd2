//! Ends upload sessions that nobody went on with.

use crate::{Jobs, Result};

impl Jobs {
    /// Ends all sessions whose time is over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_uploads(&self) -> Result<()> {
        while self.registry.expire_uploads().await? > 0 {}
        Ok(())
    }
}
