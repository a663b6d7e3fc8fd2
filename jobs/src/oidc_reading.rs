//! Asks the OIDC provider again about people with a session, on one replica at a time.

use std::sync::Arc;
use std::time::Duration;

use auth::identity::Identity;

use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::{Error, Result};

/// Asks the provider.
pub(crate) struct OidcReading {
    /// Has the provider.
    pub(crate) identity: Arc<Identity>,
}

impl Job for OidcReading {
    const KIND: &'static str = "oidc_reading";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        match self.identity.oidc().read().await {
            Ok((asked, 0)) => Outcome::Done(Some(format!("{asked} accounts"))),
            Ok((asked, failed)) => Outcome::Done(Some(format!(
                "{asked} accounts, of which the provider said nothing about {failed}"
            ))),
            Err(error) => Outcome::Failed(Error::Provider(error)),
        }
    }
}

impl Standing for OidcReading {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let due = self.identity.oidc().is_reading_due().await;
        due.map_err(Error::Provider)
    }
}
