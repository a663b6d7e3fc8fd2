//! Removes what hangs on deleted manifests and repositories, in one process at a time.

use std::time::Duration;

use crate::{Jobs, Result};

/// How long it runs before it renews its lease.
const SPELL: Duration = Duration::from_secs(3);

impl Jobs {
    /// Removes what hangs on deleted manifests and repositories, unless another process does.
    ///
    /// # Errors
    /// When the database cannot be read; when something could not be removed, after all else was.
    pub async fn purge(&self) -> Result<()> {
        while self.leads("purge").await? && self.registry.purge(SPELL).await? {}
        Ok(())
    }

    /// As [`Jobs::purge`], whether or not another process is doing it too.
    pub(crate) async fn purge_now(&self) -> Result<()> {
        while self.registry.purge(SPELL).await? {}
        Ok(())
    }
}
