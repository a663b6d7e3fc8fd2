//! What following, sending and trying out share: database, settings, keys and the HTTP client.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use model::{Clock, Origin, SystemTask};
use outgoing::{Guard, Poster};
use policy::Caller;
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// How long a request may take, from resolving the name to the last byte of the answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Policies that are tried out at a time.
const TRIED_OUT: usize = 8;

/// What all parts of webhooks use.
#[derive(Clone)]
pub struct Webhooks {
    pub(super) db: Db,
    pub(super) master: Arc<MasterKey>,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) poster: Poster,
    /// Host and port at which clients reach this registry, unless the setting `external_url` says.
    host: Arc<str>,
    /// Bounds how many policies are tried out at a time.
    pub(super) trying: Arc<Semaphore>,
}

impl Webhooks {
    /// What webhooks need.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        (db, clock): (Db, Arc<dyn Clock>),
        (master, settings): (Arc<MasterKey>, Arc<Settings>),
        guard: &Arc<Guard>,
        host: &str,
    ) -> Result<Self> {
        Ok(Self {
            db,
            master,
            settings,
            clock,
            poster: Poster::new(guard, WITHIN).map_err(Error::Outgoing)?,
            host: host.into(),
            trying: Arc::new(Semaphore::new(TRIED_OUT)),
        })
    }

    /// Host and port at which clients reach this registry.
    pub(super) fn host(&self) -> String {
        let settings = self.settings.current();
        let url = settings.external_url.trim_end_matches('/');
        match url.split_once("://") {
            Some((_, host)) => host.to_owned(),
            None => self.host.to_string(),
        }
    }

    /// Who gives receivers up.
    pub(super) fn origin() -> Origin {
        Caller::system(SystemTask::Webhooks).origin()
    }
}
