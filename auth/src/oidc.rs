//! People whom an OpenID Connect provider knows: signing in by the authorization code flow with PKCE ([`flow`]), what the
//! provider says of them ([`claims`]), asking it again later ([`recheck`]), and its signing them out ([`logout`]). What is
//! kept of them is in `tenancy::oidc`.
//!
//! One browser, one sign-in, once: `state`, `nonce` and the code verifier travel in a cookie that is sealed and bound to
//! this browser, so that any replica takes the callback; a `state` that was used is noted in the database, and used no
//! second time. The ID token must be of the issuer that the settings name, for our client, with our nonce, and signed by a
//! key of the provider's set with an asymmetric algorithm: whatever else the provider's answers say, an answer of another
//! provider, an older token or a token for another client ends there.

mod claims;
mod config;
mod error;
mod flow;
mod logout;
mod probe;
mod provider;
mod recheck;
mod token;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use db::Db;
use model::Clock;
use outgoing::Guard;
use parking_lot::Mutex;
use tenancy::oidc::Accounts;
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;

pub use config::Config;
pub use error::{Error, Result};
pub use flow::{Begun, Callback, ONBOARDING, Outcome, SIGN_IN, SignedIn, is_local_path};
pub use probe::{Finding, Step, probe};
pub use provider::Provider;

/// The provider that the settings name, and the people whom it knows.
#[derive(Clone)]
pub struct Oidc {
    db: Db,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    guard: Arc<Guard>,
    master: Arc<MasterKey>,
    accounts: Accounts,
    current: Arc<Mutex<Option<Arc<Provider>>>>,
    checks: Arc<recheck::Checks>,
}

impl Oidc {
    /// The provider that the settings name. Where `guard` does not let it, nothing connects.
    pub fn new(
        db: Db,
        (settings, clock): (Arc<Settings>, Arc<dyn Clock>),
        guard: Arc<Guard>,
        master: Arc<MasterKey>,
    ) -> Self {
        Self {
            accounts: Accounts::new(db.clone(), master.clone()),
            db,
            settings,
            clock,
            guard,
            master,
            current: Arc::default(),
            checks: Arc::default(),
        }
    }

    /// True if people can sign in by it.
    pub fn is_configured(&self) -> bool {
        self.settings.current().has_provider()
    }

    /// What is kept of people whom it knows.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The provider now.
    ///
    /// # Errors
    /// [`Error::NotConfigured`], [`Error::Settings`].
    pub fn provider(&self) -> Result<Arc<Provider>> {
        let config = Config::of(&self.settings)?;
        let mut current = self.current.lock();
        if let Some(known) = &*current
            && known.config() == &config
        {
            return Ok(known.clone());
        }
        let made = Arc::new(Provider::new(config, self.guard.clone())?);
        *current = Some(made.clone());
        Ok(made)
    }
}

/// SHA-256, under which what works once is noted.
fn hash(parts: &[&str]) -> [u8; 32] {
    let joined = parts.join("\n");
    let hash = digest(&SHA256, joined.as_bytes());
    hash.as_ref().try_into().expect("SHA-256 is 32 bytes")
}
