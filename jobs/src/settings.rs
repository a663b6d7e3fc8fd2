//! Reads the settings that other processes changed, so that a change takes effect everywhere within a second.

use std::sync::Arc;
use std::time::Duration;

use tenancy::setting::Settings;

use crate::Result;
use crate::local::Local;

/// Looks for changes.
pub(crate) struct SettingChanges(pub(crate) Arc<Settings>);

impl Local for SettingChanges {
    const NAME: &'static str = "settings";
    const EVERY: Duration = Duration::from_millis(500);

    async fn run(&self) -> Result<()> {
        Ok(self.0.refresh().await?)
    }
}
