//! What all requests share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin_api::ComponentErrors;
use auth::identity::Identity;
use certs::{HotCertificates, Roots, SubjectName, Tls};
use db::Db;
use db::audit::recorder::Recorder;
use db::clock::DatabaseClock;
use model::Clock;
use registry::Registry;
use storage::budget::Budget;
use tenancy::setting::Settings;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::access_log::AccessLog;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::rate::Rate;

/// The running gateway.
pub(crate) struct App {
    pub(crate) config: Config,
    /// HOST or HOST:PORT of the external URL, if there is one.
    pub(crate) external_host: Option<String>,
    pub(crate) db: Db,
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) audit: Arc<Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The same clock, which is corrected by the database's.
    pub(crate) shared_clock: Arc<DatabaseClock>,
    /// The certificates that listeners present.
    pub(crate) certificates: Arc<HotCertificates>,
    /// TLS of the registry's listener.
    pub(crate) tls: Arc<Tls>,
    /// Names that clients are known to use.
    pub(crate) wanted_names: Vec<SubjectName>,
    /// Authorities that clients have.
    pub(crate) roots: Roots,
    /// What is obtained by ACME, if anything is.
    pub(crate) acme: Option<Arc<jobs::acme::Terms>>,
    pub(crate) admin: axum::Router,
    pub(crate) metrics: Metrics,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) rate: Rate,
    /// What was wrong with database, store and clock at the last check.
    pub(crate) component_errors: watch::Receiver<ComponentErrors>,
    /// Limits the number of running HTTP/2 requests.
    pub(crate) streams: Arc<Budget>,
    /// Counts of this process's garbage collection.
    pub(crate) collected: Arc<jobs::gc::Progress>,
    /// Unread bodies that are being drained.
    pub(crate) drain: TaskTracker,
    /// How many of them there may be.
    pub(crate) drains: Arc<Budget>,
    /// Places for closed connections whose last bytes are discarded.
    pub(crate) closing: Arc<Budget>,
    /// How many TLS handshakes may run at a time.
    pub(crate) handshakes: Arc<Budget>,
    pub(crate) draining: AtomicBool,
}

impl App {
    /// Whether an address is a balancer that is trusted to name the client's address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.config
            .server
            .trusted_proxies
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    }

    /// Whether the process is shutting down.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
