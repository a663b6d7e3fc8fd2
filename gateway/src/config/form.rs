//! The forms of addresses, networks and URLs. Messages quote the value and show the form.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// An address to listen on.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_address(&text).map_err(D::Error::custom)
}

/// Networks, each with its prefix length.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let networks = texts.iter().map(|text| parse_network(text));
    networks.collect::<Result<_, _>>().map_err(D::Error::custom)
}

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an address and a port: write 0.0.0.0:8443 or [::]:8443")
    })
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(network) = text.parse() {
        return Ok(network);
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    Err(match bare.parse() {
        Ok(IpAddr::V4(address)) => format!("{text:?} is not a network: write {address}/32"),
        Ok(IpAddr::V6(address)) => format!("{text:?} is not a network: write {address}/128"),
        Err(_) => format!("{text:?} is not a network: write 10.0.0.0/8 or fd00::/8"),
    })
}

/// HOST or HOST:PORT of an external URL; `None` if there is none.
pub(crate) fn parse_external_url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        format!("{text:?} is not a URL of this registry: write https://HOST or https://HOST:PORT")
    };
    let url: http::Uri = text.parse().map_err(|_| wrong())?;
    let authority = url.authority().ok_or_else(wrong)?;
    let is_plain = url.path() == "/" && url.query().is_none() && !text.contains(['@', '#']);
    if url.scheme_str() != Some("https") || authority.host().is_empty() || !is_plain {
        return Err(wrong());
    }
    Ok(Some(match authority.port_u16() {
        None if authority.as_str() != authority.host() => return Err(wrong()),
        None | Some(443) => authority.host().to_owned(),
        Some(_) => authority.as_str().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_prefix_length_is_answered_with_the_network_to_write() {
        assert!(parse_network("10.0.0.0/8").is_ok());
        for (text, write) in [
            ("10.0.0.5", "10.0.0.5/32"),
            ("fd00::5", "fd00::5/128"),
            ("[fd00::5]", "fd00::5/128"),
            ("balancer", "10.0.0.0/8"),
            ("10.0.0.5/40", "10.0.0.0/8"),
        ] {
            let error = parse_network(text).unwrap_err();
            assert!(error.contains(write) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_external_url_is_https_and_a_host() {
        assert_eq!(parse_external_url("").unwrap(), None);
        for (url, host) in [
            ("https://registry.example", "registry.example"),
            ("https://registry.example/", "registry.example"),
            ("https://registry.example:443", "registry.example"),
            ("https://registry.example:8443", "registry.example:8443"),
            ("https://[fd00::1]:8443", "[fd00::1]:8443"),
        ] {
            assert_eq!(parse_external_url(url).unwrap().as_deref(), Some(host));
        }
        for url in [
            "registry.example",
            "http://registry.example",
            "https://",
            "https://registry.example/harbor",
            "https://registry.example?x",
            "https://user@registry.example",
            "https://registry.example:port",
            "https://registry.example:70000",
        ] {
            assert!(parse_external_url(url).is_err(), "{url}");
        }
    }
}
