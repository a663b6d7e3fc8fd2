//! Who sends a request, as far as that is seen without credentials.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::USER_AGENT;

/// Where credentials are presented: CLI secrets are no passwords for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where docker, helm and the like present them.
    Tools,
    /// Everywhere else.
    Elsewhere,
}

/// The address that a request comes from, and what its program calls itself.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'r> {
    /// The address.
    pub address: IpAddr,
    /// The program; empty where it does not say.
    pub agent: &'r str,
    /// Where.
    pub place: Place,
}

impl<'r> Sender<'r> {
    /// Who sends a request with these headers.
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

    /// The same at a place.
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
