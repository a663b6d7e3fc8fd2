//! The sender of a request, as far as known without credentials.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::USER_AGENT;

/// Where credentials are presented: CLI secrets are not valid everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where docker, helm and the like present them.
    Tools,
    /// Everywhere else.
    Elsewhere,
}

/// The address that a request comes from, and its user agent.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'r> {
    /// The address.
    pub address: IpAddr,
    /// The user agent; empty if there is none.
    pub agent: &'r str,
    /// Where the credentials are presented.
    pub place: Place,
}

impl<'r> Sender<'r> {
    /// The sender of a request with these headers.
    pub fn of(address: IpAddr, headers: &'r HeaderMap) -> Self {
        let agent = headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        Self {
            address,
            agent: agent.unwrap_or_default(),
            place: Place::Elsewhere,
        }
    }

    /// The same sender at another place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// Nothing is known of the program.
impl From<IpAddr> for Sender<'static> {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            agent: "",
            place: Place::Elsewhere,
        }
    }
}
