//! Forwards the audit log to collectors: to a syslog server, to a server that takes lines of JSON by HTTP, or to both.
//! Each is a follower of the log, see [`crate::following`].
//!
//! **When an entry counts as taken.** By HTTP, when the collector answers 2xx. By TCP and TLS, when the collector has
//! closed its side of the connection after ours: syslog has no acknowledgement, and what was only written may still be
//! lost with the connection. So each batch has a connection of its own. By UDP, when it was sent: nothing tells whether
//! it arrives.

mod http;
mod line;
mod syslog;

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::audit::follower;
use db::audit::{Entry, follower::Lag};
use db::{Db, Reader};
use model::{Clock, EventType};
use outgoing::{Guard, Identity, Trust, Verification, client_config};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tenancy::setting::{Declaration, Settings, Values, follower as names};
use tokio::task::spawn_blocking;

use self::line::Line;
use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::failures::causes;
use crate::following::{Following, Page, Receiver, Step, doubling};
use crate::horizon::Settling;

/// Entries in a batch.
const BATCH: i64 = 500;
/// Bytes of entries in a batch, after which no further one is added: servers often take no more than 1 MiB.
const BATCH_BYTES: usize = 512 << 10;
/// How long a batch may take, from connecting to its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// A syslog server.
    Syslog,
    /// A server that takes lines of JSON by HTTP.
    Http,
}

impl Collector {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Syslog, Self::Http];

    /// Its name in metrics and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Http => "http",
        }
    }

    /// The follower of the log that forwards to it.
    pub const fn follower(self) -> &'static str {
        match self {
            Self::Syslog => names::SYSLOG,
            Self::Http => names::HTTP,
        }
    }

    /// The setting with its address.
    fn setting(self) -> &'static str {
        names::setting_of(self.follower())
    }

    /// Its address; empty if there is none.
    pub fn address(self, values: &Values) -> &str {
        match self {
            Self::Syslog => &values.audit_log_forward_endpoint,
            Self::Http => &values.audit_log_forward_url,
        }
    }

    /// How it is reached.
    pub fn protocol(self, values: &Values) -> &'static str {
        match self {
            Self::Syslog => values.audit_log_forward_protocol.name(),
            Self::Http if values.audit_log_forward_url.starts_with("http://") => "http",
            Self::Http => "https",
        }
    }
}

/// How collectors are reached.
pub struct Forwarding {
    settings: Arc<Settings>,
    guard: Arc<Guard>,
    /// The name by which clients know this installation.
    host: String,
    /// TLS by the settings for which it was made.
    tls: Mutex<Option<(Arc<Values>, Arc<ClientConfig>)>>,
}

/// What came of sending a test line.
#[derive(Clone, Debug)]
pub struct Tested {
    /// To which collector.
    pub collector: Collector,
    /// Where it is.
    pub address: String,
    /// How it is reached.
    pub protocol: &'static str,
    /// Why the line was not taken.
    pub outcome: Result<(), String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Forwarding {
    /// Collectors by the present settings. `host` is the name by which clients know this installation.
    pub fn new(settings: Arc<Settings>, guard: Arc<Guard>, host: String) -> Self {
        Self {
            settings,
            guard,
            host,
            tls: Mutex::default(),
        }
    }

    /// Sends each collector one line that says that it is a test.
    pub async fn test(&self, clock: &dyn Clock) -> Vec<Tested> {
        let values = self.settings.current();
        let mut all = Vec::new();
        for collector in Collector::ALL {
            if collector.address(&values).is_empty() {
                continue;
            }
            let begun = Instant::now();
            let line = Line::test(clock.now(), &self.host);
            all.push(Tested {
                collector,
                address: collector.address(&values).to_owned(),
                protocol: collector.protocol(&values),
                outcome: self.send(&values, collector, vec![line]).await,
                elapsed: begun.elapsed(),
            });
        }
        all
    }

    /// Whether the syslog server of settings that are not stored yet can be reached, without sending it anything. The
    /// error says why not.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn reach_syslog(&self, values: Values) -> Result<(), String> {
        let values = Arc::new(values);
        let reached = syslog::reach(self, &values);
        within(PATIENCE, reached).await
    }

    async fn send(
        &self,
        values: &Arc<Values>,
        collector: Collector,
        lines: Vec<Line>,
    ) -> Result<(), String> {
        match collector {
            Collector::Syslog => within(PATIENCE, syslog::send(self, values, &lines)).await,
            Collector::Http => within(PATIENCE, http::send(self, values, &lines)).await,
        }
    }

    /// An address that the configuration file or the environment fixes may be anywhere.
    fn trust(&self, collector: Collector) -> Trust {
        let is_fixed = Declaration::named(collector.setting())
            .is_ok_and(|declared| self.settings.is_fixed(declared));
        match is_fixed {
            true => Trust::Trusted,
            false => Trust::Guarded,
        }
    }

    /// TLS by the settings. The system's certificates are many files, so that it is made once.
    async fn tls(&self, values: &Arc<Values>) -> Result<Arc<ClientConfig>, String> {
        if let Some((made_for, tls)) = &*self.tls.lock()
            && Arc::ptr_eq(made_for, values)
        {
            return Ok(tls.clone());
        }
        let given = values.clone();
        let made = spawn_blocking(move || {
            let verification = given
                .audit_log_forward_ca
                .pem()
                .map_or(Verification::System, Verification::Authorities);
            let chain = given.audit_log_forward_client_certificate.pem();
            let identity = chain.map(|chain| Identity {
                chain,
                key: given.audit_log_forward_client_key.expose(),
            });
            let mut config = Arc::unwrap_or_clone(client_config(verification, identity)?);
            // Servers over OpenSSL that ask for a certificate, such as rsyslog, refuse sessions that are resumed.
            config.resumption = Resumption::disabled();
            Ok::<_, outgoing::Error>(Arc::new(config))
        });
        let made = made.await.map_err(|error| causes(&error))?;
        let tls = made.map_err(|error| causes(&error))?;
        *self.tls.lock() = Some((values.clone(), tls.clone()));
        Ok(tls)
    }
}

async fn within(
    patience: Duration,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let late = || Err(format!("it took more than {} s", patience.as_secs()));
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_| late())
}

/// The state of a collector.
#[derive(Clone, Debug)]
pub struct State {
    /// Which one.
    pub collector: Collector,
    /// The follower that forwards to it; `None` until it has begun.
    pub follower: Option<follower::Follower>,
    /// How far that is behind.
    pub lag: Lag,
}

/// The state of each collector that is set.
///
/// # Errors
/// When a statement fails.
pub async fn states(reader: &mut Reader, values: &Values) -> Result<Vec<State>> {
    let mut states = Vec::new();
    for collector in Collector::ALL {
        if collector.address(values).is_empty() {
            continue;
        }
        let follower = follower::find(reader, collector.follower()).await?;
        let lag = match &follower {
            Some(follower) => follower::lag(reader, follower).await?,
            None => Lag::default(),
        };
        states.push(State {
            collector,
            follower,
            lag,
        });
    }
    Ok(states)
}

/// Makes the next attempts due at once, as after a test that worked.
///
/// # Errors
/// When a statement fails.
pub async fn retry_now(db: &Db, collector: Collector) -> Result<()> {
    let retried = db
        .write(move |tx| Box::pin(async move { follower::retry(tx, collector.follower()).await }));
    Ok(retried.await?)
}

/// What forwards to one kind of collector.
struct Forwarder {
    collector: Collector,
    forwarding: Arc<Forwarding>,
    following: Following,
    settling: Settling,
}

impl Forwarder {
    /// Whether the settings of this process name a collector: those of another one may, in its configuration file.
    fn is_set(&self) -> bool {
        let values = self.forwarding.settings.current();
        !self.collector.address(&values).is_empty()
    }

    async fn is_wanted(&self) -> Result<bool> {
        Ok(self.is_set() && self.following.is_wanted(self.name()).await?)
    }

    async fn forward(&self) -> Result<()> {
        // The follower may have come with a change that this process has not read yet.
        let settings = &self.forwarding.settings;
        settings.refresh().await?;
        if !self.is_set() {
            return Ok(());
        }
        if self.following.is_missing(self.name()).await? {
            settings.begin_followers().await?;
        }
        while self.following.step(self, &self.settling).await? == Step::Moved {}
        Ok(())
    }
}

impl Receiver for Forwarder {
    type Item = Entry;

    fn name(&self) -> &str {
        self.collector.follower()
    }

    async fn read(&self, reader: &mut Reader, (after, up_to): (i64, i64)) -> Result<Page<Entry>> {
        let mut entries = follower::entries(reader, (after, up_to), BATCH).await?;
        let is_all = (entries.len() as i64) < BATCH;
        let mut bytes = 0;
        let fitting = entries.iter().take_while(|entry| {
            let fits = bytes < BATCH_BYTES;
            bytes += line::about_bytes(entry);
            fits
        });
        let fitting = fitting.count();
        let is_all = is_all && fitting == entries.len();
        entries.truncate(fitting);
        let last = entries.last().map_or(up_to, |entry| entry.id);
        let reached = if is_all { up_to } else { last };
        let values = self.forwarding.settings.current();
        let hidden = EventType::list(&values.disabled_audit_log_event_types);
        let is_hidden = |entry: &Entry| {
            hidden.iter().any(|kind| {
                kind.operation() == entry.operation && kind.resource_type() == entry.resource_type
            })
        };
        entries.retain(|entry| !is_hidden(entry));
        let items = entries;
        Ok(Page { items, reached })
    }

    async fn pass_on(&self, entries: Vec<Entry>) -> Result<(), String> {
        let forwarding = &self.forwarding;
        let lines = entries
            .iter()
            .map(|entry| Line::of(entry, &forwarding.host))
            .collect();
        let values = forwarding.settings.current();
        forwarding.send(&values, self.collector, lines).await
    }

    fn pause(&self, failures: i64) -> Duration {
        doubling(failures)
    }
}

macro_rules! forward_job {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $collector:expr) => {
        $(#[$doc])*
        pub(crate) struct $name(Forwarder);

        impl $name {
            pub(crate) fn new(db: &Db, clock: &Arc<dyn Clock>, forwarding: &Arc<Forwarding>) -> Self {
                Self(Forwarder {
                    collector: $collector,
                    forwarding: forwarding.clone(),
                    following: Following::new(db.clone(), clock.clone()),
                    settling: Settling::default(),
                })
            }
        }

        impl Job for $name {
            const KIND: &'static str = $kind;
            const RETRY: Retry = Retry::STANDING;
            type Payload = ();

            async fn run(&self, (): (), _: &mut Context) -> Outcome {
                self.0.forward().await.into()
            }
        }

        impl Standing for $name {
            const EVERY: Duration = Duration::from_millis(500);

            async fn is_wanted(&self) -> Result<bool> {
                self.0.is_wanted().await
            }
        }
    };
}

forward_job! {
    /// Forwards the audit log to the syslog server.
    SyslogForward, "audit_forward_syslog", Collector::Syslog
}
forward_job! {
    /// Forwards the audit log to the collector by HTTP.
    HttpForward, "audit_forward_http", Collector::Http
}
