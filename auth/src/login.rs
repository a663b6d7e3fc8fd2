//! A login that is being checked. Its outcome is counted where the work is done, whether or not its client still waits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::audit::recorder::Recorder;
use model::{Client, Clock, Event, Operation, Origin, Principal, Subject, Timestamp};
use tenancy::password::Applicant;
use tenancy::setting::Settings;
use zeroize::Zeroizing;

use crate::attempts::Attempt;
use crate::error::{Error, Result};
use crate::sender::Sender;
use crate::throttle::{LoginThrottle, Verdict};
use crate::verified::Verified;

/// A source's result for a login.
pub(crate) enum Checked {
    /// The password is right. The login is returned, so that the next attempt starts once this result is cached.
    Right(Verified, Login),
    /// The name is known to this source, and the password is wrong: no other source is asked.
    Wrong,
    /// The name is not known to this source: the next one may know it.
    Unknown(Login),
}

/// A name and a password that are being checked. The next attempt at the name starts once this one is dropped.
pub(crate) struct Login {
    name: String,
    password: Zeroizing<String>,
    address: IpAddr,
    /// What the history keeps of the program.
    client: Client,
    applicant: Applicant,
    counter: Counter,
    /// The person with this name, for sources in which people have several names.
    person: Option<String>,
    /// True if a source did work for it and the outcome is not counted yet.
    owes: bool,
    _attempt: Attempt,
}

impl Login {
    pub(crate) fn new(
        (name, password): (&str, &str),
        sender: Sender<'_>,
        applicant: Applicant,
        counter: Counter,
        attempt: Attempt,
    ) -> Self {
        Self {
            name: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            address: sender.address,
            client: client(&counter.settings, sender),
            applicant,
            counter,
            person: None,
            owes: false,
            _attempt: attempt,
        }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The password.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// A copy of the password, for hashing it elsewhere.
    pub(crate) fn secret(&self) -> Zeroizing<String> {
        self.password.clone()
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.counter.clock.now()
    }

    /// Whether the name signed in from this address lately.
    pub(crate) fn applicant(&self) -> Applicant {
        self.applicant
    }

    /// Whether the attempt is still allowed after waiting: others may have failed meanwhile.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn allowed(&self) -> Result<()> {
        let allowed = self.counter.allowed(&self.name, self.address);
        allowed.map(|_delay| ())
    }

    /// Records that the name belongs to a person who may have other names: failures are counted for that person too.
    /// Returns how long to wait before the attempt.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn is_of(&mut self, subject: &str) -> Result<Duration> {
        let person = LoginThrottle::person(subject);
        let allowed = self.counter.allowed(&person, self.address);
        self.person = Some(person);
        allowed
    }

    /// The password is right.
    pub(crate) fn right(mut self, verified: Verified) -> Checked {
        self.owes = false;
        self.counter.succeeded(&self.name, self.address);
        if let Some(person) = &self.person {
            self.counter.succeeded(person, self.address);
        }
        Checked::Right(verified, self)
    }

    /// The password is wrong.
    pub(crate) fn wrong(mut self) -> Checked {
        self.fail();
        Checked::Wrong
    }

    /// The source did its work but does not know the name: if no other source does, the login has failed.
    pub(crate) fn unknown(mut self) -> Checked {
        self.owes = true;
        Checked::Unknown(self)
    }

    /// No source could check it: no outcome is counted.
    pub(crate) fn excuse(mut self) {
        self.owes = false;
    }

    /// It was refused because of what the source found, which counts for its network.
    pub(crate) fn refused_late(mut self) {
        self.owes = false;
        let now = self.counter.clock.now().date_time();
        self.counter.throttle.failed_late(self.address, now);
    }

    fn fail(&mut self) {
        self.owes = false;
        self.counter.failed(&self.name, self.address, &self.client);
        if let Some(person) = &self.person {
            self.counter.throttle_failed(person, self.address);
        }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if self.owes {
            self.fail();
        }
    }
}

/// Where outcomes are counted: the throttle, and the history of failures.
#[derive(Clone)]
pub(crate) struct Counter {
    pub(crate) throttle: Arc<LoginThrottle>,
    pub(crate) audit: Arc<Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Arc<Settings>,
}

impl Counter {
    /// How long to wait before a password may be tried.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn allowed(&self, name: &str, address: IpAddr) -> Result<Duration> {
        let now = self.clock.now().date_time();
        match self.throttle.check(name, address, now) {
            Verdict::Allow { delay } => Ok(delay),
            Verdict::Refuse { retry_after } => Err(Error::Throttled { retry_after }),
        }
    }

    fn succeeded(&self, name: &str, address: IpAddr) {
        let now = self.clock.now().date_time();
        self.throttle.succeeded(name, address, now);
    }

    fn throttle_failed(&self, account: &str, address: IpAddr) {
        let now = self.clock.now().date_time();
        self.throttle.failed(account, address, now);
    }

    fn failed(&self, name: &str, address: IpAddr, client: &Client) {
        self.throttle_failed(name, address);
        let now = self.clock.now();
        let origin = Origin {
            principal: Principal::Claimed(name.into()),
            client: client.clone(),
        };
        self.audit.record_failed_login(event(now, origin).refused());
    }
}

/// What the history keeps of a sender.
pub(crate) fn client(settings: &Settings, sender: Sender<'_>) -> Client {
    match settings.current().audit_log_clients {
        true => Client::new(sender.address, sender.agent),
        false => Client::default(),
    }
}

/// An event for a sign-in; if it is refused, the name is the given one, which may not exist.
pub(crate) fn event(at: Timestamp, origin: Origin) -> Event {
    let user = Subject::User(origin.principal.name().to_owned());
    Event::new(at, origin, Operation::Login, user)
}
