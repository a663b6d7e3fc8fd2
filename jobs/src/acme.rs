//! Obtains the server certificate by ACME (RFC 8555), and renews it.
//!
//! This is a standing job, so one replica at a time does it. What it has to remember is in the database: the account,
//! the order with its key, the proofs and the certificate. Every replica answers the server's questions from there, and
//! presents the certificate within seconds.
//!
//! **Orders are scarce**: servers limit them by name and week. So nothing is ordered while a certificate for these names
//! is valid and not due, whoever starts; an order that a crash interrupted is taken up again, with the key that was
//! stored before its certificate could exist; a server's `Retry-After` is waited out; and failures are retried after
//! times that double up to [`LONGEST_WAIT`]. Replicas whose settings differ, as during an update, wait for
//! [`OTHER_SETTINGS`] before one replaces what the other obtained, and for longer if that goes on ([`TURN`]). A
//! certificate that has all names is kept whatever names it was ordered for.
//!
//! **Clocks**: the times of the next look and of the renewal are stored. A time that lies too far ahead was written by a
//! wrong clock, and is due at once; the renewal is computed from the certificate, not from the time of the order. A
//! certificate that a server just issued and that our clock calls expired is presented, but not ordered again before
//! the next wait is over.

mod account;
mod client;
mod failure;
mod order;
mod proof;
mod renewal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certs::{ServerCertificate, SubjectName};
use db::Db;
use db::acme::{self, Challenge, Order, State};
use db::certificate::{self, Source};
use db::job_log::Level;
use model::{Clock, Event, Operation, ResourceType, Subject, SystemTask, Timestamp};
use outgoing::Guard;
use policy::Caller;
use serde_json::{Value, json};
use tenancy::secret::MasterKey;
use zeroize::Zeroizing;

use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::{Error, Result};

pub use self::failure::Reason;
pub use self::proof::{PATH, digest};

use self::failure::Failure;

/// The longest wait after a failure, unless the server says otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// Maximum characters of a failure's message.
const LONGEST_MESSAGE: usize = 1_000;
/// How long a certificate that was obtained with other settings is left alone.
const OTHER_SETTINGS: Duration = Duration::from_secs(900);
/// How often certificates that were obtained with other settings are replaced in the long run.
const TURN: Duration = Duration::from_secs(86_400);
/// How often they are in a row before that.
const TURNS: u32 = 3;
/// Maximum time between two looks while a certificate is valid.
const LOOK: Duration = Duration::from_secs(86_400);
/// A next look that is further away than this was written by a wrong clock; a server may have one wait for a week.
const FARTHEST: Duration = Duration::from_secs(8 * 86_400);

/// What to obtain, and where.
pub struct Terms {
    /// The URL of the server's directory.
    pub directory: String,
    /// Mail addresses that the server may write to.
    pub contact: Vec<String>,
    /// The names of the certificate, at least one.
    pub names: Vec<SubjectName>,
    /// How names are proved.
    pub challenge: Challenge,
    /// The key ID and the key that bind the account to one at the authority (external account binding).
    pub binding: Option<(String, Zeroizing<Vec<u8>>)>,
    /// Authorities that may have signed the server's own certificate, in PEM; `None` for those of the system.
    pub authorities: Option<String>,
    /// The profile of the certificate, if the server has several.
    pub profile: Option<String>,
    /// The program that sets and removes DNS records.
    pub dns_command: Option<PathBuf>,
    /// Whether and where our own address is tried before the server is asked to.
    pub check: Check,
    /// The wait after the first failure.
    pub first_wait: Duration,
}

/// Where our own address is tried first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Not at all.
    Off,
    /// At the name to be proved.
    Name,
    /// At this `HOST:PORT`, for networks in which the name leads elsewhere.
    Address(String),
}

impl Terms {
    /// What the certificate depends on, in whatever order the names are written.
    fn wanted(&self) -> String {
        let mut names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        json!([self.directory, names, self.profile]).to_string()
    }

    /// Who issues the certificate, and of which kind.
    fn issued_by(&self) -> String {
        json!([self.directory, self.profile]).to_string()
    }

    /// True if an order was made at the same server.
    fn is_at_server_of(&self, order: &Order) -> bool {
        let wanted: Option<Value> = serde_json::from_str(&order.wanted).ok();
        wanted.is_some_and(|wanted| wanted[0].as_str() == Some(&*self.directory))
    }
}

/// Obtains and renews the certificate.
pub(crate) struct Acme {
    /// The database.
    pub(crate) db: Db,
    /// Opens and seals keys.
    pub(crate) master: Arc<MasterKey>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Makes connections.
    pub(crate) guard: Arc<Guard>,
    /// What to obtain.
    pub(crate) terms: Arc<Terms>,
}

impl Job for Acme {
    const KIND: &'static str = "acme";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), context: &mut Context) -> Outcome {
        match Box::pin(self.look(context)).await {
            Ok(done) => Outcome::Done(Some(done)),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Standing for Acme {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let order = acme::order(&mut self.db.reader().await?).await?;
        Ok(order.is_none_or(|order| self.due_at(&order) <= self.clock.now()))
    }
}

impl Acme {
    /// When the job has to look again.
    fn due_at(&self, order: &Order) -> Timestamp {
        let now = self.clock.now();
        let farthest = match order.state {
            State::Failed => FARTHEST,
            State::Due | State::Ordering | State::Valid => LOOK + LOOK / 24,
        };
        if order.next_at > now.plus(farthest) || order.updated_at > now.plus(LOOK / 24) {
            return now;
        }
        if order.wanted == self.terms.wanted() {
            return order.next_at;
        }
        // Another replica may still have the other settings.
        let latest = order.updated_at.plus(OTHER_SETTINGS);
        match order.state {
            State::Valid => {
                let settled = order.settled_at;
                let settled = settled.filter(|at| *at <= now.plus(TURN * (TURNS + 1)));
                settled.map_or(latest, |at| latest.max(at.minus(TURN * (TURNS - 1))))
            }
            State::Due => order.updated_at,
            // A limit is that of the server, whatever is ordered.
            State::Failed if is_limited(order) && self.terms.is_at_server_of(order) => {
                order.next_at
            }
            State::Ordering | State::Failed => {
                let earliest = order.updated_at.plus(self.terms.first_wait);
                order.next_at.max(earliest).min(latest)
            }
        }
    }

    /// Does what is due, and stores how it ended.
    async fn look(&self, context: &mut Context) -> Result<String> {
        let wanted = self.terms.wanted();
        let stored = acme::order(&mut self.db.reader().await?).await?;
        let mut order = match stored {
            Some(order) if order.wanted == wanted => order,
            before => self.begin(wanted, before).await?,
        };
        match self.step(&mut order, context).await {
            Ok(done) => Ok(done),
            Err(Stop::Database(error)) => Err(error),
            Err(Stop::Failed(failure)) => self.failed(order, &failure, context).await,
        }
    }

    /// The state at the first start or after other settings, with the renewal of a certificate that is there already
    /// and has all names.
    async fn begin(&self, wanted: String, before: Option<Order>) -> Result<Order> {
        let now = self.clock.now();
        let mut order = Order::begin(wanted, now);
        let issued_by = self.terms.issued_by();
        // Where the row is lost, what is there may be good.
        let is_ours = before
            .as_ref()
            .is_none_or(|before| before.obtained.as_deref() == Some(&*issued_by));
        let present = self
            .present()
            .await?
            .filter(|present| is_ours && self.terms.names.iter().all(|name| present.covers(name)));
        if let Some(before) = before {
            // Replicas that take turns in failing wait longer and longer, too.
            order.failures = before.failures;
            order.obtained = before.obtained;
            order.settled_at = before.settled_at;
            if present.is_some() {
                // Somebody may have had it ordered, or the server wants it renewed early.
                (order.renew_at, order.info_at) = (before.renew_at, before.info_at);
            } else if before.state == State::Valid {
                let settled = before.settled_at.map_or(now, |at| at.max(now)).plus(TURN);
                order.settled_at = Some(settled.min(now.plus(TURN * TURNS)));
            }
        }
        if let Some(present) = present {
            let by_lifetime = renewal::by_lifetime(&present);
            let renew_at = order.renew_at.map_or(by_lifetime, |at| at.min(by_lifetime));
            (order.renew_at, order.obtained) = (Some(renew_at), Some(issued_by));
        }
        Ok(order)
    }

    /// The certificate that ACME obtained last. One that cannot be read is as good as none.
    async fn present(&self) -> Result<Option<ServerCertificate>> {
        let mut reader = self.db.reader().await?;
        let Some(stored) = certificate::named(&mut reader, certificate::ACME).await? else {
            return Ok(None);
        };
        drop(reader);
        let key = tenancy::certificate::open_key(&self.master, &stored).ok();
        Ok(key.and_then(|key| ServerCertificate::from_pem(&stored.chain, &key).ok()))
    }

    /// Asks when to renew, and orders what is due.
    async fn step(&self, order: &mut Order, context: &mut Context) -> Result<String, Stop> {
        let present = self.present().await?;
        let now = self.clock.now();
        let is_renewal = present.is_some() && order.renew_at.is_some();
        if let (Some(present), true) = (&present, is_renewal && order.url.is_none()) {
            if order.renew_at.is_some_and(|at| now < at) {
                self.ask_for_renewal(order, present).await?;
            }
            if let Some(at) = order.renew_at.filter(|at| now < *at) {
                self.valid(order, at).await?;
                return Ok(format!("the certificate is renewed at {at}"));
            }
        }
        order.state = State::Ordering;
        self.save(order).await?;
        self.obtain(order, present.as_ref(), context).await
    }

    /// Stores that there is nothing to do before the renewal.
    async fn valid(&self, order: &mut Order, renew_at: Timestamp) -> Result<()> {
        let now = self.clock.now();
        order.state = State::Valid;
        order.next_at = order
            .info_at
            .map_or(renew_at, |info_at| info_at.min(renew_at))
            .min(now.plus(LOOK));
        (order.failures, order.reason, order.message, order.failed_at) = (0, None, None, None);
        self.save(order).await
    }

    async fn save(&self, order: &mut Order) -> Result<()> {
        order.updated_at = self.clock.now();
        let order = order.clone();
        let saved = self
            .db
            .write(move |tx| Box::pin(async move { acme::put_order(tx, &order).await }));
        Ok(saved.await?)
    }

    /// Stores a failure and when to try again, and logs it.
    async fn failed(
        &self,
        mut order: Order,
        failure: &Failure,
        context: &mut Context,
    ) -> Result<String> {
        let now = self.clock.now();
        order.failures += 1;
        let wait = failure.wait(order.failures, self.terms.first_wait);
        // It quotes the server.
        let message = failure
            .message
            .chars()
            .filter(|letter| !letter.is_control());
        let message: String = message.take(LONGEST_MESSAGE).collect();
        order.state = State::Failed;
        order.next_at = now.plus(wait);
        order.reason = Some(failure.reason.name().to_owned());
        order.message = Some(message.clone());
        order.failed_at = Some(now);
        if failure.ends_order() {
            (order.url, order.key) = (None, None);
        }
        self.clear_proofs().await?;
        self.save(&mut order).await?;
        let text = format!("{}: {message}", failure.reason.name());
        context.log(Level::Warn, &*text);
        tracing::warn!(
            acme.reason = failure.reason.name(),
            acme.failures = order.failures,
            next_attempt = %order.next_at,
            error = message,
            "no certificate was obtained by ACME; the present one stays in use"
        );
        Ok(format!("no certificate: {text}"))
    }

    /// Stores a certificate.
    async fn store(&self, chain: String, key: &str) -> Result<()> {
        let sealed = tenancy::certificate::seal_key(&self.master, certificate::ACME, key)?;
        let now = self.clock.now();
        let subject =
            Subject::Installation(ResourceType::Certificate, certificate::ACME.to_owned());
        let origin = Caller::system(SystemTask::Acme).origin();
        let event = Event::new(now, origin, Operation::Create, subject);
        let stored = self.db.write(move |tx| {
            Box::pin(async move {
                let stored = (Source::Acme, &*chain, &*sealed);
                certificate::put(tx, certificate::ACME, stored, now).await?;
                tx.record(&event).await
            })
        });
        Ok(stored.await?)
    }
}

/// True if the server refuses further requests for a time.
fn is_limited(order: &Order) -> bool {
    order.reason.as_deref() == Some(Reason::RateLimited.name())
}

/// Why a step ended early.
enum Stop {
    /// The attempt failed, as operators have to know.
    Failed(Failure),
    /// The database cannot be used.
    Database(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        Self::Database(error.into())
    }
}
