//! Reads the settings that other processes changed, so that a change takes effect everywhere within a second.

use std::sync::Arc;
use std::time::Duration;

use registry::Registry;
use tenancy::setting::Settings;

use crate::Result;
use crate::local::Local;

/// Looks for changes.
pub(crate) struct SettingChanges {
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
}

impl Local for SettingChanges {
    const NAME: &'static str = "settings";
    const EVERY: Duration = Duration::from_millis(500);

    async fn run(&self) -> Result<()> {
        self.settings.refresh().await?;
        let values = self.settings.current();
        self.registry.report_blobs(values.has_endpoints());
        Ok(())
    }
}
