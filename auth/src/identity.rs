//! From the credentials of a request to a caller, and from a caller to a registry token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::audit::NewEntry;
use db::audit::recorder::Recorder;
use db::{Age, Db, account, binding, project};
use model::{AccountId, Clock, RepositoryName};
use policy::{Action, Caller, Grant, Grants, Presented};
use tracing::instrument;

use crate::password::{PasswordError, PasswordHasher};
use crate::scope::Scope;
use crate::throttle::{LoginThrottle, Verdict};
use crate::token::{Access, Claims, Holder, TokenError, TokenKeyError, TokenKeys, VerifiedTokens};
use crate::verified::{Verified, VerifiedCredentials};

/// Why no caller could be made of a request's credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `Authorization` header is neither Basic nor Bearer, or cannot be read.
    #[error("the Authorization header is not understood: use Basic or Bearer")]
    Malformed,
    /// No such account, or another password.
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

/// Longest password that is looked at, in bytes.
const LONGEST_PASSWORD: usize = 1_024;

/// Who is calling, found out.
pub struct Identity {
    db: Db,
    clock: Arc<dyn Clock>,
    audit: Arc<Recorder>,
    keys: TokenKeys,
    hasher: PasswordHasher,
    passwords: VerifiedCredentials,
    tokens: VerifiedTokens,
    throttle: LoginThrottle,
    token_secs: u32,
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// Seconds that it lasts.
    pub expires_in: u32,
    /// When it was issued.
    pub issued_at: model::Timestamp,
}

impl Identity {
    /// An identity service over the accounts in `db`.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        audit: Arc<Recorder>,
        keys: TokenKeys,
        token_secs: u32,
    ) -> Self {
        Self {
            db,
            clock,
            audit,
            keys,
            hasher: PasswordHasher::new(),
            passwords: VerifiedCredentials::new(),
            tokens: VerifiedTokens::new(),
            throttle: LoginThrottle::new(),
            token_secs,
        }
    }

    /// The keys that verify tokens, as a JWK set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }

    /// The brake on guessing.
    pub fn throttle(&self) -> &LoginThrottle {
        &self.throttle
    }

    /// Hashes and checks passwords.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    /// The caller that an `Authorization` header speaks for; anonymous where there is none. What a token's account
    /// is bound to may be of that age.
    ///
    /// # Errors
    /// When the credentials are wrong, or too many were.
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
            let (name, password) = decoded.split_once(':').ok_or(Error::Malformed)?;
            return self.by_password((name, password), address, age).await;
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
        let bindings = if account.0 == 0 {
            Arc::default()
        } else {
            let generation = Some(verified.claims().generation);
            let bound = binding::of_account(&self.db, account, generation, age).await?;
            bound.ok_or(Error::Void)?
        };
        Ok(Caller {
            bindings,
            presented: Presented::Token,
            grants: Some(verified.grants().clone()),
            address,
        })
    }

    /// The caller with what its account is bound to now; `None` where it is not valid any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn again(&self, caller: &Caller) -> Result<Option<Caller>, Error> {
        let Some(account) = caller.account() else {
            return Ok(Some(caller.clone()));
        };
        let generation = Some(caller.bindings.generation);
        let bound = binding::of_account(&self.db, account, generation, Age::Now).await?;
        Ok(bound.map(|bindings| Caller {
            bindings,
            ..caller.clone()
        }))
    }

    /// The caller that a name and a password speak for.
    ///
    /// # Errors
    /// When they are wrong, or too many were.
    pub async fn by_password(
        &self,
        (name, password): (&str, &str),
        address: IpAddr,
        age: Age,
    ) -> Result<Caller, Error> {
        if password.len() > LONGEST_PASSWORD || name.len() > 255 {
            return Err(Error::WrongCredentials);
        }
        let known = match self.passwords.get(name, password) {
            Some(known) => self.still_bound(known, age).await?,
            None => None,
        };
        let bindings = match known {
            Some(bindings) => bindings,
            None => Box::pin(self.check_password(name, password, address)).await?,
        };
        Ok(Caller {
            bindings,
            presented: Presented::Password,
            grants: None,
            address,
        })
    }

    async fn still_bound(
        &self,
        known: Verified,
        age: Age,
    ) -> Result<Option<binding::Bound>, Error> {
        let account = AccountId(known.account);
        Ok(binding::of_account(&self.db, account, Some(known.generation), age).await?)
    }

    #[instrument(name = "auth.password.verify", level = "debug", skip_all)]
    async fn check_password(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<binding::Bound, Error> {
        self.wait_for_throttle(name, address).await?;
        let turn = self.hasher.turn().await;
        if let Verdict::Refuse { retry_after } = self.throttle.check(name, address, self.now()) {
            return Err(Error::Throttled { retry_after });
        }
        let mut tx = self.db.reader().await?;
        let account = account::by_name(&mut tx, name).await?;
        drop(tx);
        let stored = account
            .as_ref()
            .and_then(|account| account.password_hash.as_deref());
        let right = turn.verify(password, stored).await?;
        let Some(account) = account.filter(|_| right) else {
            self.throttle.failed(name, address, self.now());
            self.note_login(name, None, address, false);
            return Err(Error::WrongCredentials);
        };
        self.throttle.succeeded(name, address, self.now());
        let verified = Verified {
            account: account.id.0,
            generation: account.generation,
        };
        let bindings = self
            .still_bound(verified, Age::Now)
            .await?
            .ok_or(Error::WrongCredentials)?;
        self.passwords.put(name, password, verified);
        Ok(bindings)
    }

    fn now(&self) -> time::OffsetDateTime {
        self.clock.now().date_time()
    }

    async fn wait_for_throttle(&self, name: &str, address: IpAddr) -> Result<(), Error> {
        match self.throttle.check(name, address, self.now()) {
            Verdict::Allow { delay } => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(())
            }
            Verdict::Refuse { retry_after } => Err(Error::Throttled { retry_after }),
        }
    }

    /// Notes a login, or a failed one, in the audit log.
    pub fn note_login(
        &self,
        name: &str,
        account: Option<AccountId>,
        address: IpAddr,
        success: bool,
    ) {
        self.audit.record(NewEntry {
            at: self.clock.now(),
            account,
            account_name: name.to_owned(),
            address: address.to_string(),
            operation: "login",
            resource_type: "user",
            resource: name.to_owned(),
            project: None,
            success,
            times: 1,
            detail: String::new(),
        });
    }

    /// Issues a token: of what is asked for, exactly what is held at this moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "auth.token.issue", level = "debug", skip_all)]
    pub async fn issue(&self, caller: &Caller, scopes: &[Scope]) -> Result<Issued, Error> {
        let mut access = Vec::with_capacity(scopes.len());
        for scope in scopes {
            access.push(self.cut(caller, scope).await?);
        }
        let holder = match caller.account() {
            None => Holder::anonymous(),
            Some(account) => Holder {
                name: caller.bindings.name.to_string(),
                account: account.0,
                generation: caller.bindings.generation,
            },
        };
        let issued_at = self.clock.now();
        let id = crate::random_hex::<8>();
        let claims = Claims::new(holder, access, id, issued_at.date_time(), self.token_secs);
        let token = self.keys.issue(&claims)?;
        Ok(Issued {
            token,
            expires_in: self.token_secs,
            issued_at,
        })
    }

    async fn cut(&self, caller: &Caller, scope: &Scope) -> Result<Access, Error> {
        let held = match (scope.kind(), scope.name().parse::<RepositoryName>()) {
            ("repository", Ok(name)) => {
                let facts = project::facts(&self.db, &name.project(), Age::Now).await?;
                policy::permit::held(caller, facts.as_deref())
            }
            _ => Vec::new(),
        };
        let everything = scope.actions().iter().any(|action| action == "*");
        if (scope.kind(), scope.name()) == ("registry", "catalog") {
            // What the catalog shows is cut to what the account may see.
            return Ok(Access::cut(scope, |action| {
                action == "*" && caller.account().is_some()
            }));
        }
        let actions = held
            .iter()
            .map(|action| action.name())
            .filter(|name| everything || scope.actions().iter().any(|asked| asked == name));
        Ok(Access {
            kind: scope.kind().to_owned(),
            name: scope.name().to_owned(),
            actions: actions.map(str::to_owned).collect(),
        })
    }
}

/// What a token's `access` claim allows, read into policy's terms.
pub fn grants(access: &[Access]) -> Arc<Grants> {
    let repository = |access: &Access| {
        let repository = access
            .name
            .parse()
            .ok()
            .filter(|_| access.kind == "repository")?;
        let has = |action: Action| access.actions.iter().any(|name| name == action.name());
        Some(Grant {
            repository,
            pull: has(Action::Pull),
            push: has(Action::Push),
            delete: has(Action::Delete),
        })
    };
    let catalog = |access: &Access| {
        access.kind == "registry" && access.name == "catalog" && access.actions == ["*"]
    };
    Arc::new(Grants {
        repositories: access.iter().filter_map(repository).collect(),
        catalog: access.iter().any(catalog),
    })
}
