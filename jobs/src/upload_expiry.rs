//! Ends upload sessions that were not continued.

use crate::{Jobs, Result};

impl Jobs {
    /// Ends all expired sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_uploads(&self) -> Result<()> {
        while self.registry.expire_uploads().await? > 0 {}
        Ok(())
    }
}
