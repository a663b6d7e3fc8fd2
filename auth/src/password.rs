//! Signing in with a name and a password: recently verified credentials are cached; otherwise the throttle decides,
//! attempts at a name queue, and the sources are asked.

use std::sync::Arc;
use std::time::Duration;

use db::robot::usage::RobotUses;
use db::{Age, Db, binding};
use model::{Network, Timestamp};
use policy::Authority;
use tenancy::password::Applicant;
use tracing::instrument;

use crate::attempts::Attempts;
use crate::error::{Error, Result};
use crate::login::{Checked, Counter, Login};
use crate::sender::{Place, Sender};
use crate::source::{Ldap, PasswordSource};
use crate::throttle::LoginThrottle;
use crate::verified::{Proof, Verified, VerifiedCredentials};

/// Maximum length of a password to check, in bytes.
pub(crate) const LONGEST_PASSWORD: usize = 1_024;

/// Maximum length of a name to look up, in bytes.
const LONGEST_NAME: usize = 255;

/// When to retry if too many attempts at one name are waiting.
const CROWDED_RETRY: Duration = Duration::from_secs(1);

/// Checks names and passwords.
pub(crate) struct Passwords {
    db: Db,
    /// In the order in which they are asked.
    sources: Vec<Box<dyn PasswordSource>>,
    /// The one among them that remembers passwords for longer than [`VerifiedCredentials`].
    ldap: Option<Ldap>,
    verified: Arc<VerifiedCredentials>,
    attempts: Attempts,
    counter: Counter,
    uses: Arc<RobotUses>,
}

impl Passwords {
    pub(crate) fn new(
        db: Db,
        counter: Counter,
        (sources, ldap): (Vec<Box<dyn PasswordSource>>, Option<Ldap>),
        (verified, uses): (Arc<VerifiedCredentials>, Arc<RobotUses>),
    ) -> Self {
        Self {
            db,
            sources,
            ldap,
            verified,
            attempts: Attempts::default(),
            counter,
            uses,
        }
    }

    /// The throttle on guessing.
    pub(crate) fn throttle(&self) -> &LoginThrottle {
        &self.counter.throttle
    }

    /// The owner of a name and password. Attempts at a name from one network run one after the other; if it signed in
    /// from there lately, only those with the same password do.
    ///
    /// # Errors
    /// When they are wrong, or there were too many failures.
    pub(crate) async fn check(
        &self,
        (name, password): (&str, &str),
        sender: Sender<'_>,
        age: Age,
    ) -> Result<Arc<Authority>> {
        if password.len() > LONGEST_PASSWORD || name.len() > LONGEST_NAME {
            return Err(Error::WrongCredentials);
        }
        match self
            .verified_lately((name, password), sender.place, age)
            .await?
        {
            Some(authority) => Ok(authority),
            None => Box::pin(self.check_now(name, password, sender)).await,
        }
    }

    async fn verified_lately(
        &self,
        (name, password): (&str, &str),
        place: Place,
        age: Age,
    ) -> Result<Option<Arc<Authority>>> {
        let recalled = || self.ldap.as_ref()?.recall(name, password);
        match self.verified.get(name, password).or_else(recalled) {
            Some(verified) => self.bound(verified, place, age).await,
            None => Ok(None),
        }
    }

    async fn bound(
        &self,
        verified: Verified,
        place: Place,
        age: Age,
    ) -> Result<Option<Arc<Authority>>> {
        if !verified.counts_at(place) {
            return Err(Error::WrongCredentials);
        }
        let generation = Some(verified.generation);
        let mut authority =
            binding::authority(&self.db, verified.principal, generation, age).await?;
        let now = self.counter.clock.now();
        if let Proof::PreviousSecret(until) = verified.by {
            if until <= now {
                return Err(Error::WrongCredentials);
            }
            self.uses.count_previous(verified.principal, until, now);
            authority = authority.map(|authority| limited(&authority, until));
        }
        match authority {
            Some(authority) if authority.has_ended(now) => Err(Error::RobotExpired),
            bound => Ok(bound),
        }
    }

    #[instrument(name = "auth.password.verify", level = "debug", skip_all)]
    async fn check_now(
        &self,
        name: &str,
        password: &str,
        sender: Sender<'_>,
    ) -> Result<Arc<Authority>> {
        let login = self.begin((name, password), sender).await?;
        // An earlier attempt may have had the same password.
        if let Some(authority) = self
            .verified_lately((name, password), sender.place, Age::Now)
            .await?
        {
            return Ok(authority);
        }
        let delay = self.counter.allowed(name, sender.address)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let (right, source) = self.ask(login).await?.ok_or(Error::WrongCredentials)?;
        let (verified, _login) = right;
        let authority = self.bound(verified, sender.place, Age::Now).await?;
        let authority = authority.ok_or(Error::WrongCredentials)?;
        if !source.remembers() {
            self.verified.put(name, password, verified);
        }
        Ok(authority)
    }

    /// Waits for earlier attempts.
    async fn begin(&self, (name, password): (&str, &str), sender: Sender<'_>) -> Result<Login> {
        let address = sender.address;
        self.counter.allowed(name, address)?;
        let (key, applicant) = if self.throttle().is_known(name, address) {
            (self.verified.key(name, password), Applicant::Known)
        } else {
            let stranger = Applicant::Stranger(Network::of(address));
            (LoginThrottle::pair(name, address), stranger)
        };
        let attempt = self.attempts.begin(key).await.ok_or(Error::Throttled {
            retry_after: CROWDED_RETRY,
        })?;
        let counter = self.counter.clone();
        Ok(Login::new(
            (name, password),
            sender,
            applicant,
            counter,
            attempt,
        ))
    }

    /// Asks one source after the other, and says which one it was; `None` if the password is wrong, or no source knows the
    /// name.
    async fn ask(
        &self,
        mut login: Login,
    ) -> Result<Option<((Verified, Login), &dyn PasswordSource)>> {
        for source in &self.sources {
            login = match source.check(login).await? {
                Checked::Right(verified, login) => {
                    return Ok(Some(((verified, login), &**source)));
                }
                Checked::Wrong => return Ok(None),
                Checked::Unknown(login) => login,
            };
        }
        Ok(None)
    }
}

/// Rights that end at a time, or before.
fn limited(authority: &Authority, until: Timestamp) -> Arc<Authority> {
    let mut limited = authority.clone();
    if let Some(own) = &mut limited.own {
        own.expires_at = Some(own.expires_at.map_or(until, |end| end.min(until)));
    }
    Arc::new(limited)
}

#[cfg(test)]
mod tests;
