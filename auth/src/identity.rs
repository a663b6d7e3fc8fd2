//! Who calls: turns the credentials of a request into a caller. Each kind of credentials has a module of its own.

use std::net::IpAddr;
use std::sync::Arc;

use db::audit::recorder::Recorder;
use db::robot::usage::RobotUses;
use db::{Age, Db, binding};
use model::{Client, Clock, Network, Origin, Principal, SessionId};
use outgoing::Guard;
use policy::{Authority, Caller, Presented};
use tenancy::password::{Applicant, PasswordHasher};
use tenancy::secret::MasterKey;
use tenancy::setting::Settings;

use crate::allowance::Allowances;
use crate::basic::Basic;
use crate::bearer::{Bearer, Issued};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::login::{self, Counter};
use crate::oidc::{self, Oidc, SignedIn};
use crate::password::{LONGEST_PASSWORD, Passwords};
use crate::scope::Scope;
use crate::sender::Sender;
use crate::session::{Renewal, SessionKey, Sessions};
use crate::source::{CliSecrets, Ldap, Local, PasswordSource, Robots};
use crate::throttle::LoginThrottle;
use crate::token::TokenKeys;
use crate::verified::VerifiedCredentials;
use crate::workload::{self, Admission, Admitted, Workloads};

/// Maximum characters of a refused workload's subject and issuer in the history.
const LONGEST_CLAIMED: usize = 512;

/// Identifies callers.
pub struct Identity {
    db: Db,
    clock: Arc<dyn Clock>,
    audit: Arc<Recorder>,
    uses: Arc<RobotUses>,
    settings: Arc<Settings>,
    hasher: Arc<PasswordHasher>,
    directory: Arc<Directory>,
    oidc: Oidc,
    passwords: Passwords,
    bearer: Bearer,
    sessions: Sessions,
    allowances: Allowances,
    workloads: Workloads,
}

impl Identity {
    /// An identity service over the users and robots in `db` and the configured directory and provider, to which
    /// connections are subject to `guard`. The settings say how long tokens and sessions are valid.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        (audit, uses): (Arc<Recorder>, Arc<RobotUses>),
        (keys, master): (TokenKeys, Arc<MasterKey>),
        (settings, guard): (Arc<Settings>, Arc<Guard>),
    ) -> Self {
        let hasher = Arc::new(PasswordHasher::new());
        let counter = Counter {
            throttle: Arc::default(),
            audit: audit.clone(),
            clock: clock.clone(),
            settings: settings.clone(),
        };
        let robots = Box::new(Robots::new(db.clone(), hasher.clone()));
        let local = Box::new(Local::new(db.clone(), hasher.clone()));
        let verified = Arc::new(VerifiedCredentials::new());
        let workloads = Workloads::new(db.clone(), clock.clone(), guard.clone());
        let directory = Directory::new(db.clone(), settings.clone(), clock.clone(), guard.clone());
        let directory = Arc::new(directory);
        let of_settings = (settings.clone(), clock.clone());
        let ldap = Ldap::new(directory.clone(), of_settings, verified.clone());
        let oidc = Oidc::new(db.clone(), (settings.clone(), clock.clone()), guard, master);
        // Before the slow hashes, which a random secret does not need.
        let secrets = Box::new(CliSecrets::new(db.clone(), oidc.clone()));
        // The directory is last, so that nobody in this database waits for it.
        let sources: Vec<Box<dyn PasswordSource>> =
            vec![robots, secrets, local, Box::new(ldap.clone())];
        Self {
            passwords: Passwords::new(
                db.clone(),
                counter,
                (sources, Some(ldap)),
                (verified, uses.clone()),
            ),
            directory,
            oidc,
            bearer: Bearer::new(db.clone(), clock.clone(), keys, settings.clone()),
            sessions: Sessions::new(db.clone(), clock.clone(), settings.clone()),
            allowances: Allowances::default(),
            workloads,
            db,
            clock,
            audit,
            settings,
            uses,
            hasher,
        }
    }

    /// The keys that verify tokens, as a JWK set (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        self.bearer.keys().jwks()
    }

    /// The throttle on password guessing.
    pub fn throttle(&self) -> &LoginThrottle {
        self.passwords.throttle()
    }

    /// Limits for requests that need no account.
    pub fn allowances(&self) -> &Allowances {
        &self.allowances
    }

    /// The configured directory.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Authenticates workloads.
    pub fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// The configured OIDC provider.
    pub fn oidc(&self) -> &Oidc {
        &self.oidc
    }

    /// Hashes and checks passwords.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    /// What the history keeps of a sender.
    pub fn client(&self, sender: Sender<'_>) -> Client {
        login::client(&self.settings, sender)
    }

    /// The caller of a request without credentials.
    pub fn anonymous(&self, sender: Sender<'_>) -> Caller {
        Caller::anonymous(sender.address).with(self.client(sender))
    }

    /// The caller of an `Authorization` header; anonymous without one. `age` is how old the bindings of a token's
    /// principal may be.
    ///
    /// # Errors
    /// When the credentials are wrong, or there were too many failures.
    pub async fn caller(
        &self,
        authorization: Option<&str>,
        sender: Sender<'_>,
        age: Age,
    ) -> Result<Caller> {
        let address = sender.address;
        let Some(header) = authorization else {
            return Ok(self.anonymous(sender));
        };
        let (scheme, rest) = header.split_once(' ').ok_or(Error::Malformed)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            let caller = self.bearer.caller(rest.trim(), address, age).await?;
            return Ok(self.used(caller, sender));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let basic = Basic::decode(rest.trim())?;
            return Box::pin(self.by_pair(basic.pair(), sender, age)).await;
        }
        Err(Error::Malformed)
    }

    /// The caller with its principal's current bindings; `None` if it is no longer valid.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn again(&self, caller: &Caller) -> Result<Option<Caller>> {
        let Some(principal) = caller.id() else {
            return Ok(Some(caller.clone()));
        };
        let bound = match &caller.authority.workload {
            None => {
                let generation = Some(caller.authority.generation);
                binding::authority(&self.db, principal, generation, Age::Now).await?
            }
            Some(workload) => workload::bind(&self.db, workload, caller.name(), Age::Now).await?,
        };
        let bound = bound.filter(|authority| !authority.has_ended(self.clock.now()));
        Ok(bound.map(|authority| Caller {
            authority,
            ..caller.clone()
        }))
    }

    /// Records the use of a robot.
    fn used(&self, caller: Caller, sender: Sender<'_>) -> Caller {
        if let Principal::Robot { id, .. } = caller.principal() {
            self.uses.note(*id, sender.address, self.clock.now());
        }
        caller.with(self.client(sender))
    }

    /// As [`Identity::by_password`], but anonymous if both are empty, as some clients send them.
    ///
    /// # Errors
    /// Those of [`Identity::by_password`].
    pub async fn by_pair(
        &self,
        (name, password): (&str, &str),
        sender: Sender<'_>,
        age: Age,
    ) -> Result<Caller> {
        if name.is_empty() && password.is_empty() {
            return Ok(self.anonymous(sender));
        }
        self.by_password((name, password), sender, age).await
    }

    /// The caller with a name and a password, which may be the token of a workload; the name is then ignored.
    ///
    /// # Errors
    /// When they are wrong, or there were too many failures.
    pub async fn by_password(
        &self,
        credentials: (&str, &str),
        sender: Sender<'_>,
        age: Age,
    ) -> Result<Caller> {
        let authority = match Box::pin(self.workloads.admit(credentials.1)).await? {
            Admission::Admitted(authority) => authority,
            // The same answer as for any wrong password: it does not reveal which issuers are known.
            refused @ Admission::Refused { .. } => {
                self.record_refused(refused, sender);
                self.spend_a_hash(credentials.1, sender).await?;
                return Err(Error::WrongCredentials);
            }
            Admission::Unknown => self.passwords.check(credentials, sender, age).await?,
        };
        Ok(self.used(by(authority, sender.address), sender))
    }

    /// Does the work that a password costs which no source knows: the time of an answer must not tell either.
    async fn spend_a_hash(&self, password: &str, sender: Sender<'_>) -> Result<()> {
        if password.len() > LONGEST_PASSWORD {
            // That costs no hash.
            return Ok(());
        }
        let stranger = Applicant::Stranger(Network::of(sender.address));
        let slot = self.hasher.slot(stranger).await?;
        slot.verify(password, None, |_| ()).await?;
        Ok(())
    }

    /// The caller of a workload's token (RFC 8693).
    ///
    /// # Errors
    /// Always [`Error::SubjectToken`]: the reason is only in the history.
    pub async fn by_subject_token(&self, token: &str, sender: Sender<'_>) -> Result<Caller> {
        match Box::pin(self.workloads.admit(token)).await? {
            Admission::Admitted(authority) => {
                Ok(by(authority, sender.address).with(self.client(sender)))
            }
            refused => {
                self.record_refused(refused, sender);
                Err(Error::SubjectToken)
            }
        }
    }

    /// The caller of an ID token of the OIDC provider. `None` if no provider is configured, or the token is of somebody
    /// else.
    ///
    /// # Errors
    /// [`Error::Provider`] with the reason.
    pub async fn by_id_token(&self, token: &str, sender: Sender<'_>) -> Result<Option<Caller>> {
        if !self.oidc.is_configured()
            || !self.oidc.is_of_provider(token).map_err(Error::Provider)?
        {
            return Ok(None);
        }
        let origin = self.anonymous(sender).origin();
        let bearer = Box::pin(self.oidc.by_id_token(token, origin)).await;
        let bearer = match bearer {
            Ok(bearer) => bearer,
            Err(error) => {
                if !error.is_outage() || matches!(error, oidc::Error::Token(_)) {
                    self.record_refused_id_token(&error, sender);
                }
                return Err(Error::Provider(error));
            }
        };
        let generation = Some(bearer.generation);
        let bound = binding::authority(&self.db, bearer.principal, generation, Age::Now).await?;
        let authority = bound.ok_or(Error::Void)?;
        Ok(Some(
            by(authority, sender.address).with(self.client(sender)),
        ))
    }

    /// Records why an ID token was refused. Anybody can send some, so no network fills the history with them.
    fn record_refused_id_token(&self, error: &oidc::Error, sender: Sender<'_>) {
        let (network, now) = (Network::of(sender.address), self.clock.now());
        if self.allowances.refused_workload.take(network, now).is_ok() {
            self.record_refused_sign_in(error, sender);
        }
    }

    /// The caller by rules for client certificates, as these are now; `None` if they were all changed or deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn by_certificate(
        &self,
        admitted: &Admitted,
        address: IpAddr,
        age: Age,
    ) -> Result<Option<Caller>> {
        let bound = workload::bind(&self.db, &admitted.workload, &admitted.name, age).await?;
        let bound = bound.filter(|authority| !authority.has_ended(self.clock.now()));
        Ok(bound.map(|authority| by(authority, address)))
    }

    /// Records why a workload's token was refused.
    fn record_refused(&self, refused: Admission, sender: Sender<'_>) {
        let Admission::Refused { claimed, reason } = refused else {
            return;
        };
        let (network, now) = (Network::of(sender.address), self.clock.now());
        // Anybody can make such tokens: no network fills the history with them.
        let allowed = self.allowances.refused_workload.take(network, now);
        if allowed.is_err() {
            return;
        }
        let claimed: String = claimed.chars().take(LONGEST_CLAIMED).collect();
        let origin = Origin {
            principal: Principal::Claimed(claimed.into()),
            client: self.client(sender),
        };
        let event = login::event(now, origin).refused();
        let detail = format!("a workload's token: {reason}");
        self.audit.record_failed_login(event.with_detail(detail));
    }

    /// Begins a session of a caller who has just signed in, always under a new key, and ends the one that the browser
    /// had. Records the login.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] if the caller is not a person who is signed in: robots have no browser.
    pub async fn begin_session(
        &self,
        caller: &Caller,
        had: Option<&SessionKey>,
        sender: Sender<'_>,
    ) -> Result<SessionKey> {
        let user = caller.user().and(caller.id());
        let principal = user.ok_or(Error::WrongCredentials)?;
        let who = (principal, caller.authority.generation, caller.origin());
        self.sessions.begin(who, (had, None), sender).await
    }

    /// Records why nobody was signed in by the OIDC provider.
    pub fn record_refused_sign_in(&self, error: &oidc::Error, sender: Sender<'_>) {
        let origin = Origin {
            principal: Principal::Claimed("OIDC".into()),
            client: self.client(sender),
        };
        let event = login::event(self.clock.now(), origin).refused();
        self.audit
            .record_failed_login(event.with_detail(error.chain()));
    }

    /// Begins a session of a person who has signed in at the OIDC provider; returns the caller and the session's key.
    ///
    /// # Errors
    /// [`Error::Void`] if the account was deleted or changed meanwhile, or the provider has signed them out since.
    pub async fn begin_session_of_provider(
        &self,
        signed_in: SignedIn,
        had: Option<&SessionKey>,
        sender: Sender<'_>,
    ) -> Result<(Caller, SessionKey)> {
        let (principal, generation) = (signed_in.principal, signed_in.generation);
        let bound = binding::authority(&self.db, principal, Some(generation), Age::Now).await?;
        let caller = Caller {
            authority: bound.ok_or(Error::Void)?,
            presented: Presented::Password,
            grants: None,
            address: Some(sender.address),
            client: self.client(sender),
        };
        let who = (principal, generation, caller.origin());
        let oidc = Some(signed_in.session);
        let key = self.sessions.begin(who, (had, oidc), sender).await?;
        if self.oidc.is_signed_out(&signed_in.underway).await? {
            self.sessions.end_by_key(&key).await?;
            return Err(Error::Void);
        }
        Ok((caller, key))
    }

    /// The caller of a session; anonymous if it has ended.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn by_session(
        &self,
        key: &SessionKey,
        sender: Sender<'_>,
        renewal: Renewal,
    ) -> Result<Caller> {
        let caller = self.sessions.caller(key, sender.address, renewal).await?;
        Ok(caller.map_or_else(
            || self.anonymous(sender),
            |caller| caller.with(self.client(sender)),
        ))
    }

    /// Ends a session of the caller. Returns whether the caller had it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<bool> {
        match caller.id() {
            Some(principal) => self.sessions.end((principal, caller.origin()), id).await,
            None => Ok(false),
        }
    }

    /// Records a login in the audit log.
    pub fn record_login(&self, caller: &Caller) {
        self.audit
            .record(login::event(self.clock.now(), caller.origin()));
    }

    /// Issues a token for the requested actions that the caller has now, as far as they fit into a token.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn issue(&self, caller: &Caller, scopes: &[Scope]) -> Result<Issued> {
        self.bearer.issue(caller, scopes).await
    }
}

/// An authenticated caller.
fn by(authority: Arc<Authority>, address: IpAddr) -> Caller {
    Caller {
        authority,
        presented: Presented::Password,
        grants: None,
        address: Some(address),
        client: Client::at(Some(address)),
    }
}
