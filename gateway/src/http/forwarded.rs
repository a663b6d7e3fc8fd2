//! The address of a client behind balancers, from `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// Each balancer appends the address that called it, so the list is read from its end, as long as the addresses are
/// trusted balancers. If an entry cannot be read, the balancer that wrote it counts as the client, since the earlier
/// entries may be forged.
pub(crate) fn client_address(
    balancer: IpAddr,
    headers: &HeaderMap,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = values
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let mut nearest = balancer;
    for hop in hops {
        match address(hop) {
            None => return nearest,
            Some(address) if trusts(address) => nearest = address,
            Some(address) => return address,
        }
    }
    nearest
}

/// An address in the forms that balancers write: alone, in brackets, with a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.unwrap_or(text).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(values: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        client_address("10.0.0.1".parse().unwrap(), &headers, trusts).to_string()
    }

    #[test]
    fn all_forms_are_read() {
        for (written, read) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:1234", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:1234", "2001:db8::9"),
            (" 203.0.113.9 , 10.0.0.2:80 ", "203.0.113.9"),
        ] {
            assert_eq!(client(&[written]), read, "{written}");
        }
    }

    #[test]
    fn the_last_untrusted_hop_is_the_client() {
        assert_eq!(
            client(&["198.51.100.1, 203.0.113.9, 10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(client(&["203.0.113.9", "10.0.0.2"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(client(&[]), "10.0.0.1");
    }

    #[test]
    fn nothing_before_an_unreadable_hop_is_believed() {
        for hop in [
            "unknown",
            "",
            "_hidden",
            "203.0.113.9:port",
            "[203.0.113.9",
            "::1::",
        ] {
            let list: &'static str = format!("198.51.100.1, {hop}, 10.0.0.2").leak();
            assert_eq!(client(&[list]), "10.0.0.2", "{hop}");
            let list: &'static str = format!("198.51.100.1, {hop}").leak();
            assert_eq!(client(&[list]), "10.0.0.1", "{hop}");
        }
    }
}
