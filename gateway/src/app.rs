//! What all requests share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin_api::ComponentErrors;
use auth::identity::Identity;
use certs::{HotCertificates, Roots, SubjectName, Tls};
use db::Db;
use db::audit::recorder::Recorder;
use db::clock::DatabaseClock;
use ipnet::IpNet;
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
        is_within(&self.config.server.trusted_proxies, address)
    }

    /// Whether the process is shutting down.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Whether an address is of one of these networks. A balancer at `localhost` comes from `127.0.0.1` and from `::1` by turns:
/// whoever trusts the one trusts the other.
fn is_within(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    let same = (address == Ipv6Addr::LOCALHOST).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let same = same.unwrap_or(address);
    let contains = |network: &IpNet| network.contains(&address) || network.contains(&same);
    networks.iter().any(contains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_trusts_this_machine_trusts_both_of_its_addresses() {
        let within = |network: &str, address: &str| {
            is_within(&[network.parse().unwrap()], address.parse().unwrap())
        };
        for network in ["127.0.0.1/32", "127.0.0.0/8"] {
            assert!(within(network, "127.0.0.1") && within(network, "::ffff:127.0.0.1"));
            assert!(within(network, "::1"));
            assert!(!within(network, "::2") && !within(network, "fd00::1"));
        }
        assert!(within("::1/128", "::1") && !within("::1/128", "127.0.0.1"));
        assert!(!within("10.0.0.0/8", "::1"));
    }
}
