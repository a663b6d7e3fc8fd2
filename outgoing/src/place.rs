//! Where a URI leads.

use http::Uri;

use crate::{Error, Result};

/// Where a URI leads.
pub(crate) struct Place {
    /// Name or address, in brackets if it has colons.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Place {
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Error::Address),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        Ok(Self {
            host: host.ok_or(Error::Address)?.to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
        })
    }
}
