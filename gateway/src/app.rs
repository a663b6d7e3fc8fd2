//! All that requests share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin_api::ComponentErrors;
use auth::identity::Identity;
use certs::HotCertificate;
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
    /// HOST or HOST:PORT of the external URL, where there is one.
    pub(crate) external_host: Option<String>,
    pub(crate) db: Db,
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) audit: Arc<Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The same clock, which is set right by the database's.
    pub(crate) shared_clock: Arc<DatabaseClock>,
    pub(crate) certificate: Arc<HotCertificate>,
    pub(crate) admin: axum::Router,
    pub(crate) metrics: Metrics,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) rate: Rate,
    /// What was wrong with database, store and clock at the last look.
    pub(crate) component_errors: watch::Receiver<ComponentErrors>,
    /// Requests of HTTP/2 that may be on their way.
    pub(crate) streams: Arc<Budget>,
    /// What the garbage collection of this process has done.
    pub(crate) collected: Arc<jobs::gc::Progress>,
    /// Unread bodies that are being drained.
    pub(crate) drain: TaskTracker,
    /// How many of them there may be.
    pub(crate) drains: Arc<Budget>,
    /// Places for closed connections whose last bytes are thrown away.
    pub(crate) closing: Arc<Budget>,
    /// How many TLS handshakes may go on.
    pub(crate) handshakes: Arc<Budget>,
    pub(crate) draining: AtomicBool,
}

impl App {
    /// Whether an address is a balancer whose word is taken for the client's address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.config
            .server
            .trusted_proxies
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    }

    /// Whether the process is on its way out.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
