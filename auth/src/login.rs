//! A login that is being checked, with the duty to count its outcome where the work was done, whether or not its client
//! still waits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::audit::recorder::Recorder;
use model::{Clock, Event, Operation, Origin, Principal, Subject, Timestamp};
use tenancy::password::Applicant;
use zeroize::Zeroizing;

use crate::attempts::Attempt;
use crate::error::{Error, Result};
use crate::sender::Sender;
use crate::throttle::{LoginThrottle, Verdict};
use crate::verified::Verified;

/// Characters of what a program calls itself that the history keeps.
const LONGEST_AGENT: usize = 255;

/// What a source says of a login.
pub(crate) enum Checked {
    /// The password is right. The login is given back, so that the next attempt starts once this one can be remembered.
    Right(Verified, Login),
    /// The name is known here, and this is not its password: no other source is asked.
    Wrong,
    /// The name is not known here: the next source may know it.
    Unknown(Login),
}

/// A name and a password that are being checked. The next attempt at the name starts once this one is dropped.
pub(crate) struct Login {
    name: String,
    password: Zeroizing<String>,
    address: IpAddr,
    /// What the program calls itself.
    agent: String,
    applicant: Applicant,
    counter: Counter,
    /// Whose name it is, where a source knows people by other names too.
    person: Option<String>,
    /// True if a source did its work for it, and the outcome is not counted yet.
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
            agent: sender.agent.chars().take(LONGEST_AGENT).collect(),
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

    /// A copy of the password, for whoever hashes it elsewhere.
    pub(crate) fn secret(&self) -> Zeroizing<String> {
        self.password.clone()
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.counter.clock.now()
    }

    /// Whether the name signed in from there lately.
    pub(crate) fn applicant(&self) -> Applicant {
        self.applicant
    }

    /// Whether it may still be tried, after waiting: others may have failed meanwhile.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn allowed(&self) -> Result<()> {
        let allowed = self.counter.allowed(&self.name, self.address);
        allowed.map(|_delay| ())
    }

    /// The name is one of somebody who may have others: guesses at their password are counted under that person too. How
    /// long to wait before it may be tried.
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

    /// The source did its work and does not know the name: if no other source does, the login has failed.
    pub(crate) fn unknown(mut self) -> Checked {
        self.owes = true;
        Checked::Unknown(self)
    }

    /// No source said whether it is right: it counts as no outcome.
    pub(crate) fn excuse(mut self) {
        self.owes = false;
    }

    /// It was refused by what the source found out, which counts for its network.
    pub(crate) fn refused_late(mut self) {
        self.owes = false;
        let now = self.counter.clock.now().date_time();
        self.counter.throttle.failed_late(self.address, now);
    }

    fn fail(&mut self) {
        self.owes = false;
        self.counter.failed(&self.name, self.address, &self.agent);
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

    fn failed(&self, name: &str, address: IpAddr, agent: &str) {
        self.throttle_failed(name, address);
        let now = self.clock.now();
        let origin = Origin {
            principal: Principal::Claimed(name.into()),
            address: Some(address),
        };
        let event = event(now, origin).refused();
        // So that whoever has an old password somewhere finds the program that still tries it.
        let event = match agent {
            "" => event,
            agent => event.with_detail(format!("by {agent}")),
        };
        self.audit.record_failed_login(event);
    }
}

/// Someone signs in; where that is refused, the name is one that somebody gave, and perhaps nobody's.
pub(crate) fn event(at: Timestamp, origin: Origin) -> Event {
    let user = Subject::User(origin.principal.name().to_owned());
    Event::new(at, origin, Operation::Login, user)
}
