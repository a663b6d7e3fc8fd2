//! Users of an OpenID Connect provider: signing in by the authorization code flow with PKCE ([`flow`]), their claims
//! ([`claims`]), asking the provider again later ([`recheck`]), and sign-out by the provider ([`logout`]). Their
//! accounts are in `tenancy::oidc`.
//!
//! A sign-in works once, in one browser: `state`, `nonce` and the code verifier are in a sealed cookie of that browser,
//! so that any replica can take the callback; a used `state` is stored in the database and cannot be used again. The ID
//! token must come from the configured issuer, for our client, with our nonce, and be signed by a key of the provider's
//! set with an asymmetric algorithm: an answer of another provider, an older token or a token for another client is
//! refused.

mod bearer;
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

/// The configured provider, and its users.
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
    /// The configured provider. Connections are subject to `guard`.
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

    /// The accounts of its users.
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

/// SHA-256, under which single-use tickets are stored.
fn hash(parts: &[&str]) -> [u8; 32] {
    let joined = parts.join("\n");
    let hash = digest(&SHA256, joined.as_bytes());
    hash.as_ref().try_into().expect("SHA-256 is 32 bytes")
}
