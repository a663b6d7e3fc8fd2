//! Reads people and their groups from the directory again, on one replica at a time.

use std::sync::Arc;
use std::time::Duration;

use auth::identity::Identity;

use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::{Error, Result};

/// Reads from the directory.
pub(crate) struct LdapReading {
    /// Has the directory.
    pub(crate) identity: Arc<Identity>,
}

impl Job for LdapReading {
    const KIND: &'static str = "ldap_reading";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        match self.identity.directory().read().await {
            Ok(read) => Outcome::Done(Some(format!("{read} accounts"))),
            Err(error) => Outcome::Failed(Error::Directory(error)),
        }
    }
}

impl Standing for LdapReading {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let due = self.identity.directory().is_reading_due().await;
        due.map_err(Error::Directory)
    }
}
