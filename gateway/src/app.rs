//! All that requests share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth::identity::Identity;
use certs::HotCertificate;
use db::Db;
use db::audit::recorder::Recorder;
use model::Clock;
use registry::Registry;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::http::access_log::AccessLog;
use crate::metrics::Metrics;
use crate::rate::Rate;

/// The running gateway.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) db: Db,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) audit: Arc<Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) certificate: Arc<HotCertificate>,
    pub(crate) admin: axum::Router,
    pub(crate) metrics: Metrics,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) rate: Rate,
    /// What the garbage collection of this process has done.
    pub(crate) collected: Arc<jobs::gc::Progress>,
    /// Unread bodies that are being drained.
    pub(crate) drain: TaskTracker,
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
