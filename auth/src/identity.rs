//! Turns a request's credentials into a caller, and a caller into a registry token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::audit::recorder::Recorder;
use db::{Age, Db, account, binding};
use model::{
    AccountId, Clock, Event, Network, Operation, Origin, Principal, RepositoryName, Subject,
    Timestamp,
};
use policy::{Action, Authority, Caller, Presented};
use tenancy::password::{Applicant, PasswordError, PasswordHasher};
use tenancy::setting::Settings;
use tracing::instrument;

use crate::attempts::Attempts;
use crate::scope::Scope;
use crate::throttle::{LoginThrottle, Verdict};
use crate::token::{Access, Claims, Holder, TokenError, TokenKeyError, TokenKeys, VerifiedTokens};
use crate::verified::{Verified, VerifiedCredentials};

/// Why a request's credentials were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `Authorization` header is neither Basic nor Bearer, or cannot be read.
    #[error("the Authorization header is not understood: use Basic or Bearer")]
    Malformed,
    /// No such account, or a wrong password.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// The token is not valid.
    #[error("the token is refused")]
    Token(#[source] TokenError),
    /// The account was deleted, or its password changed, since the token was issued.
    #[error("the token is void: sign in again")]
    Void,
    /// Too many wrong passwords.
    #[error("too many failed logins: try again in {} s", .retry_after.as_secs())]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The database cannot be read.
    #[error("cannot look the account up")]
    Database(#[from] db::Error),
    /// The password could not be checked.
    #[error("cannot check the password")]
    Password(#[from] PasswordError),
    /// The token could not be made.
    #[error("cannot issue a token")]
    Issue(#[from] TokenKeyError),
}

/// Maximum length of a password to check, in bytes.
const LONGEST_PASSWORD: usize = 1_024;

/// When to retry if too many attempts at one account are waiting.
const CROWDED_RETRY: Duration = Duration::from_secs(1);

/// An authenticated caller.
pub struct Identity {
    db: Db,
    clock: Arc<dyn Clock>,
    audit: Arc<Recorder>,
    keys: TokenKeys,
    hasher: PasswordHasher,
    passwords: VerifiedCredentials,
    tokens: VerifiedTokens,
    throttle: Arc<LoginThrottle>,
    attempts: Attempts,
    settings: Arc<Settings>,
}

/// An issued token.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// Lifetime in seconds.
    pub expires_in: u32,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What it grants, as the text of a `scope` parameter.
    pub scope: String,
}

impl Identity {
    /// An identity service over the accounts in `db`.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        audit: Arc<Recorder>,
        keys: TokenKeys,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            db,
            clock,
            audit,
            keys,
            hasher: PasswordHasher::new(),
            passwords: VerifiedCredentials::new(),
            tokens: VerifiedTokens::new(),
            throttle: Arc::default(),
            attempts: Attempts::default(),
            settings,
        }
    }

    /// The keys that verify tokens, as a JWK set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }

    /// The throttle on password guessing.
    pub fn throttle(&self) -> &LoginThrottle {
        &self.throttle
    }

    /// Hashes and checks passwords.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    /// The caller of an `Authorization` header; anonymous without one. `age` is how old the bindings of a token's
    /// account may be.
    ///
    /// # Errors
    /// When the credentials are wrong, or there were too many failures.
    pub async fn caller(
        &self,
        authorization: Option<&str>,
        address: IpAddr,
        age: Age,
    ) -> Result<Caller, Error> {
        let Some(header) = authorization else {
            return Ok(Caller::anonymous(address));
        };
        let (scheme, rest) = header.split_once(' ').ok_or(Error::Malformed)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.by_token(rest.trim(), address, age).await;
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(rest.trim()).map_err(|_| Error::Malformed)?;
            let decoded = String::from_utf8(decoded).map_err(|_| Error::Malformed)?;
            let pair = decoded.split_once(':').ok_or(Error::Malformed)?;
            return self.by_pair(pair, address, age).await;
        }
        Err(Error::Malformed)
    }

    async fn by_token(&self, token: &str, address: IpAddr, age: Age) -> Result<Caller, Error> {
        let now = self.clock.now().date_time();
        let verified = self
            .tokens
            .verify(&self.keys, token, now)
            .map_err(Error::Token)?;
        let account = AccountId(verified.claims().uid);
        let authority = if account.0 == 0 {
            Arc::default()
        } else {
            let generation = Some(verified.claims().generation);
            let bound = binding::authority(&self.db, account, generation, age).await?;
            bound.ok_or(Error::Void)?
        };
        Ok(Caller {
            authority,
            presented: Presented::Token,
            grants: Some(verified.grants().clone()),
            address: Some(address),
        })
    }

    /// The caller with its account's current bindings; `None` if it is no longer valid.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn again(&self, caller: &Caller) -> Result<Option<Caller>, Error> {
        let Some(account) = caller.account() else {
            return Ok(Some(caller.clone()));
        };
        let generation = Some(caller.authority.generation);
        let bound = binding::authority(&self.db, account, generation, Age::Now).await?;
        Ok(bound.map(|authority| Caller {
            authority,
            ..caller.clone()
        }))
    }

    /// As [`Identity::by_password`], but anonymous if both are empty, as some clients send them.
    ///
    /// # Errors
    /// Those of [`Identity::by_password`].
    pub async fn by_pair(
        &self,
        (name, password): (&str, &str),
        address: IpAddr,
        age: Age,
    ) -> Result<Caller, Error> {
        if name.is_empty() && password.is_empty() {
            return Ok(Caller::anonymous(address));
        }
        self.by_password((name, password), address, age).await
    }

    /// The caller of a name and a password. Attempts at an account from one network run one after the other; if it
    /// signed in from there lately, only those with the same password do.
    ///
    /// # Errors
    /// When they are wrong, or there were too many failures.
    pub async fn by_password(
        &self,
        (name, password): (&str, &str),
        address: IpAddr,
        age: Age,
    ) -> Result<Caller, Error> {
        if password.len() > LONGEST_PASSWORD || name.len() > 255 {
            return Err(Error::WrongCredentials);
        }
        let authority = match self.verified_lately(name, password, age).await? {
            Some(authority) => authority,
            None => Box::pin(self.check_password(name, password, address)).await?,
        };
        Ok(Caller {
            authority,
            presented: Presented::Password,
            grants: None,
            address: Some(address),
        })
    }

    async fn verified_lately(
        &self,
        name: &str,
        password: &str,
        age: Age,
    ) -> Result<Option<Arc<Authority>>, Error> {
        match self.passwords.get(name, password) {
            Some(verified) => self.still_bound(verified, age).await,
            None => Ok(None),
        }
    }

    async fn still_bound(
        &self,
        verified: Verified,
        age: Age,
    ) -> Result<Option<Arc<Authority>>, Error> {
        let account = AccountId(verified.account);
        Ok(binding::authority(&self.db, account, Some(verified.generation), age).await?)
    }

    #[instrument(name = "auth.password.verify", level = "debug", skip_all)]
    async fn check_password(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Arc<Authority>, Error> {
        self.allowed(name, address)?;
        let (key, applicant) = if self.throttle.is_known(name, address) {
            (self.passwords.key(name, password), Applicant::Known)
        } else {
            let stranger = Applicant::Stranger(Network::of(address));
            (LoginThrottle::pair(name, address), stranger)
        };
        let attempt = self.attempts.begin(key).await.ok_or(Error::Throttled {
            retry_after: CROWDED_RETRY,
        })?;
        // An attempt before this one may have had the same password.
        if let Some(authority) = self.verified_lately(name, password, Age::Now).await? {
            return Ok(authority);
        }
        let delay = self.allowed(name, address)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let slot = self.hasher.slot(applicant).await?;
        self.allowed(name, address)?;
        let account = self.account(name).await?;
        let stored = account
            .as_ref()
            .and_then(|account| account.password_hash.as_deref());
        let tried = Tried {
            throttle: self.throttle.clone(),
            audit: self.audit.clone(),
            clock: self.clock.clone(),
            name: name.to_owned(),
            address,
        };
        let counted = slot.verify(password, stored, move |right| {
            tried.count(right);
            // The next attempt starts only once this one is counted, whether or not its client waits.
            (right, attempt)
        });
        let (right, _attempt) = counted.await?;
        let account = account.filter(|_| right).ok_or(Error::WrongCredentials)?;
        let verified = Verified {
            account: account.id.0,
            generation: account.generation,
        };
        let authority = self
            .still_bound(verified, Age::Now)
            .await?
            .ok_or(Error::WrongCredentials)?;
        self.passwords.put(name, password, verified);
        Ok(authority)
    }

    /// The account of this name. No name has NUL in it, and PostgreSQL would refuse the query.
    async fn account(&self, name: &str) -> Result<Option<account::Account>, Error> {
        if name.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.db.reader().await?;
        Ok(account::by_name(&mut tx, name).await?)
    }

    /// How long to wait before a password may be tried.
    fn allowed(&self, name: &str, address: IpAddr) -> Result<Duration, Error> {
        let now = self.clock.now().date_time();
        match self.throttle.check(name, address, now) {
            Verdict::Allow { delay } => Ok(delay),
            Verdict::Refuse { retry_after } => Err(Error::Throttled { retry_after }),
        }
    }

    /// Records a login in the audit log.
    pub fn record_login(&self, caller: &Caller) {
        self.audit.record(login(self.clock.now(), caller.origin()));
    }

    /// Issues a token for the requested actions that the caller has now, as far as they fit into a token.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "auth.token.issue", level = "debug", skip_all)]
    pub async fn issue(&self, caller: &Caller, scopes: &[Scope]) -> Result<Issued, Error> {
        let mut access = Vec::with_capacity(scopes.len());
        for scope in scopes {
            access.push(self.held(caller, scope).await?);
        }
        let holder = match caller.account() {
            None => Holder::anonymous(),
            Some(account) => Holder {
                name: caller.name().to_owned(),
                account: account.0,
                generation: caller.authority.generation,
            },
        };
        let issued_at = self.clock.now();
        let id = crate::random_hex::<8>();
        let lifetime = self.settings.current().token_secs();
        let mut claims = Claims::new(holder, id, issued_at.date_time(), lifetime);
        claims.grant(access)?;
        Ok(Issued {
            token: self.keys.issue(&claims)?,
            expires_in: lifetime,
            issued_at,
            scope: claims.scope(),
        })
    }

    /// The actions of a scope that the caller has.
    async fn held(&self, caller: &Caller, scope: &Scope) -> Result<Access, Error> {
        let held: Vec<&str> = match (scope.kind(), scope.name()) {
            ("repository", name) => match name.parse() {
                Ok(name) => self.held_on(caller, &name).await?,
                Err(_) => Vec::new(),
            },
            // What the catalog shows is cut to what the account may see.
            ("registry", "catalog") if caller.account().is_some() => vec![EVERYTHING],
            _ => Vec::new(),
        };
        let asked = |action: &str| scope.actions().iter().any(|asked| asked == action);
        let all = asked(EVERYTHING);
        let actions = held.into_iter().filter(|action| all || asked(action));
        Ok(Access {
            kind: scope.kind().to_owned(),
            name: scope.name().to_owned(),
            actions: actions.map(str::to_owned).collect(),
        })
    }

    async fn held_on(
        &self,
        caller: &Caller,
        name: &RepositoryName,
    ) -> Result<Vec<&'static str>, Error> {
        let standing = binding::standing(&self.db, caller, &name.project(), Age::Now).await?;
        let held = standing.map(|standing| standing.on_repository(caller));
        let held = held.unwrap_or_default();
        // In the order in which clients write them.
        let actions = [Action::Pull, Action::Push, Action::Delete];
        let actions = actions.into_iter().filter(|action| held.contains(*action));
        Ok(actions.map(Action::name).collect())
    }
}

/// The action that means all actions.
const EVERYTHING: &str = "*";

/// A password being tried, with the keys under which its outcome counts.
struct Tried {
    throttle: Arc<LoginThrottle>,
    audit: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    name: String,
    address: IpAddr,
}

impl Tried {
    fn count(&self, right: bool) {
        let now = self.clock.now();
        if right {
            self.throttle
                .succeeded(&self.name, self.address, now.date_time());
            return;
        }
        self.throttle
            .failed(&self.name, self.address, now.date_time());
        let origin = Origin {
            principal: Principal::Claimed(self.name.as_str().into()),
            address: Some(self.address),
        };
        self.audit.record_failed_login(login(now, origin).refused());
    }
}

/// Someone signs in; where that is refused, the name is one that somebody gave, and perhaps nobody's.
fn login(at: Timestamp, origin: Origin) -> Event {
    let user = Subject::User(origin.principal.name().to_owned());
    Event::new(at, origin, Operation::Login, user)
}
