//! Ends upload sessions that were not continued.

use std::sync::Arc;
use std::time::Duration;

use db::{Db, upload};
use model::Clock;
use registry::Registry;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// Ends expired sessions.
pub(crate) struct UploadExpiry {
    /// The database.
    pub(crate) db: Db,
    /// The registry.
    pub(crate) registry: Arc<Registry>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for UploadExpiry {
    const KIND: &'static str = "upload_expiry";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        expire(&self.registry).await.into()
    }
}

impl Standing for UploadExpiry {
    const EVERY: Duration = Duration::from_secs(30);

    async fn is_wanted(&self) -> Result<bool> {
        let mut tx = self.db.reader().await?;
        Ok(upload::has_expired(&mut tx, self.clock.now()).await?)
    }
}

/// Ends all expired sessions.
pub(crate) async fn expire(registry: &Registry) -> Result<()> {
    while registry.expire_uploads().await? > 0 {}
    Ok(())
}
