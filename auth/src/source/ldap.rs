//! People in a directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::Clock;
use parking_lot::Mutex;
use tenancy::directory::origin;
use tenancy::setting::Settings;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::PasswordSource;
use crate::directory::{Directory, Epoch};
use crate::error::{Error, Result};
use crate::ldap::{self, FoundPerson, Server, seconds};
use crate::login::{Checked, Login};
use crate::proof::{Check, Proofs, Recall, Terms};
use crate::verified::{Proof, Verified, VerifiedCredentials};

/// Time between two warnings that the directory could not be asked.
const WARNINGS: Duration = Duration::from_secs(60);

/// Checks passwords by asking the directory, unless it has confirmed them lately.
#[derive(Clone)]
pub(crate) struct Ldap(Arc<Shared>);

struct Shared {
    directory: Arc<Directory>,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    verified: Arc<VerifiedCredentials>,
    proofs: Arc<Proofs>,
    /// Checks in the background; they end when this is dropped.
    checks: Mutex<JoinSet<()>>,
    /// When the log last said that the directory could not be asked.
    warned: Mutex<Option<Instant>>,
}

/// The directory's answer for a name and a password.
enum Answer {
    Unknown,
    Wrong,
    Right(Verified),
}

impl Ldap {
    pub(crate) fn new(
        directory: Arc<Directory>,
        (settings, clock): (Arc<Settings>, Arc<dyn Clock>),
        verified: Arc<VerifiedCredentials>,
    ) -> Self {
        Self(Arc::new(Shared {
            directory,
            settings,
            clock,
            verified,
            proofs: Arc::new(Proofs::new()),
            checks: Mutex::default(),
            warned: Mutex::default(),
        }))
    }

    /// The owner of a name and password, if the directory has confirmed them lately. Never waits for it.
    pub(crate) fn recall(&self, name: &str, password: &str) -> Option<Verified> {
        let shared = &self.0;
        // Proofs from another directory, or without a directory, are not valid.
        let Some(Ok(Some(Epoch { number, .. }))) = shared.directory.known() else {
            return None;
        };
        let key = shared.verified.key(name, password);
        let terms = shared.terms(number);
        let recalled = shared.proofs.recall(&key, terms, shared.clock.now());
        match recalled {
            Recall::Unknown => None,
            Recall::Right(verified) => Some(verified),
            Recall::CheckAgain(verified) => {
                self.check_again(key, name, password);
                Some(verified)
            }
        }
    }

    fn check_again(&self, key: [u8; 32], name: &str, password: &str) {
        let shared = self.0.clone();
        let check = Check::new(shared.proofs.clone(), key);
        let (name, password) = (name.to_owned(), Zeroizing::new(password.to_owned()));
        let mut checks = self.0.checks.lock();
        while checks.try_join_next().is_some() {}
        checks.spawn(async move {
            let _check = check;
            let answer = shared.ask(&name, &password, |_| Ok(Duration::ZERO)).await;
            match answer {
                Ok(Answer::Right(_)) => {}
                Err(Error::NotAdmitted(tenancy::Error::Database(_))) => {
                    shared.proofs.could_not_check(&key, shared.clock.now());
                }
                Ok(Answer::Unknown | Answer::Wrong)
                | Err(Error::NotAdmitted(_) | Error::Ended(_)) => {
                    shared.proofs.forget(&key);
                }
                Err(error) => {
                    let error = causes(&error);
                    tracing::debug!(error, "a password cannot be checked again now");
                    shared.proofs.could_not_check(&key, shared.clock.now());
                }
            }
        });
    }
}

impl Shared {
    fn terms(&self, epoch: u64) -> Terms {
        let values = self.settings.current();
        Terms {
            fresh: seconds(values.ldap_password_secs),
            outage: seconds(values.ldap_outage_secs),
            epoch,
        }
    }

    /// Logs that the directory could not be asked, at most once in a while.
    fn warn(&self, error: &Error) {
        let mut warned = self.warned.lock();
        if warned.is_none_or(|at| at.elapsed() > WARNINGS) {
            *warned = Some(Instant::now());
            let cause = causes(error);
            tracing::warn!(cause, "somebody could not sign in by the directory");
        }
    }

    /// Asks the directory, and remembers what it confirms. `found` gets the person and returns how long to wait before
    /// checking the password.
    async fn ask(
        &self,
        name: &str,
        password: &str,
        found: impl FnOnce(&FoundPerson) -> Result<Duration> + Send,
    ) -> Result<Answer> {
        let Some(Epoch { server, number }) = self.directory.epoch().await? else {
            return Ok(Answer::Unknown);
        };
        let answer = self.ask_server(&server, (name, password), found).await?;
        if let Answer::Right(verified) = &answer {
            let key = self.verified.key(name, password);
            let at = (self.clock.now(), number);
            self.proofs.put(key, *verified, at);
        }
        Ok(answer)
    }

    async fn ask_server(
        &self,
        server: &Server,
        (name, password): (&str, &str),
        found: impl FnOnce(&FoundPerson) -> Result<Duration> + Send,
    ) -> Result<Answer> {
        let person = match server.find(name, self.clock.now()).await {
            // The answer is the same as for an unknown name.
            Err(error @ ldap::Error::Ambiguous) => {
                self.warn(&error.into());
                None
            }
            person => person?,
        };
        let Some(person) = person else {
            server.check_nobody(password).await?;
            return Ok(Answer::Unknown);
        };
        tokio::time::sleep(found(&person)?).await;
        if !server.check(&person.dn, password).await? {
            return Ok(Answer::Wrong);
        }
        let admitted = self.directory.admit(server, person, origin()).await?;
        Ok(Answer::Right(Verified {
            principal: admitted.principal,
            generation: admitted.generation,
            by: Proof::Password,
        }))
    }
}

#[async_trait]
impl PasswordSource for Ldap {
    fn remembers(&self) -> bool {
        true
    }

    async fn check(&self, mut login: Login) -> Result<Checked> {
        if login.password().is_empty() || !self.0.directory.is_configured() {
            return Ok(Checked::Unknown(login));
        }
        login.allowed()?;
        let (name, password) = (login.name().to_owned(), login.secret());
        // Failures are counted together for a person, however the name is written.
        let found = |person: &FoundPerson| login.is_of(&person.subject);
        match self.0.ask(&name, &password, found).await {
            Ok(Answer::Right(verified)) => Ok(login.right(verified)),
            Ok(Answer::Wrong) => Ok(login.wrong()),
            Ok(Answer::Unknown) => Ok(login.unknown()),
            Err(error @ Error::Throttled { .. }) => {
                login.refused_late();
                Err(error)
            }
            Err(error) => {
                login.excuse();
                self.0.warn(&error);
                Err(error)
            }
        }
    }
}

/// An error with all its causes, on one line.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
