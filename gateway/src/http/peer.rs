//! The connection that a request came on: the client's address, and the listener that it reached.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::app::App;
use crate::client_certificate::Shown;
use crate::http::forwarded;
use crate::http::response_body::Free;
use crate::wire::WireState;

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The registry, its REST API and its token service.
    Public,
    /// Metrics and health.
    Metrics,
    /// A redirect to HTTPS.
    Redirect,
}

/// What requests need to know about their connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The activity on the connection.
    pub(crate) wire: Arc<WireState>,
    /// The address it comes from, from the PROXY header if there is one.
    pub(crate) address: IpAddr,
    /// Memory that its small answers may use.
    pub(crate) free: Free,
    /// Whether that is a balancer whose X-Forwarded-For is trusted.
    pub(crate) trusted: bool,
    /// The listener that it reached.
    pub(crate) listener: Listener,
    /// The certificate that the client presented, which a handshake accepted, now or earlier.
    pub(crate) certificate: Option<Arc<Shown>>,
}

impl Peer {
    /// The address that a request comes from.
    pub(crate) fn client(&self, app: &App, headers: &HeaderMap) -> IpAddr {
        if self.trusted {
            forwarded::client_address(self.address, headers, |address| app.trusts(address))
        } else {
            self.address
        }
    }
}
