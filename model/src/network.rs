//! The networks of an address, by which password guessing is counted.

use std::net::IpAddr;

/// The smallest network of one customer: an IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network([u8; 16]);

impl Network {
    /// The network of an address; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => Self(prefix(address.octets(), 64)),
        }
    }

    /// The network with these [`Self::bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its byte form: its first address, with IPv4 mapped into IPv6.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The network, and the wider ones around it that providers assign to customers: bits, network, and by what factor
    /// its limits are higher.
    pub fn levels(self) -> Vec<((u32, Self), u32)> {
        let wider = [(56, 2), (48, 4)];
        let wider = wider
            .into_iter()
            .filter_map(|(bits, times)| Some(((bits, self.wider(bits)?), times)));
        std::iter::once(((64, self), 1)).chain(wider).collect()
    }

    /// The network of the first `bits` bits, for customers with more than a /64. `None` for IPv4.
    pub fn wider(&self, bits: u32) -> Option<Self> {
        let is_v4 = std::net::Ipv6Addr::from(self.0).to_ipv4_mapped().is_some();
        (!is_v4).then(|| Self(prefix(self.0, bits)))
    }
}

/// An address with all but the first `bits` bits cleared, at most 127.
fn prefix(octets: [u8; 16], bits: u32) -> [u8; 16] {
    let mask = !(u128::MAX >> bits);
    (u128::from_be_bytes(octets) & mask).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_and_mapped_addresses_are_ipv4() {
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn wider_networks_hold_more_of_their_neighbours() {
        let (one, near, far) = (
            of("2001:db8:0:100::1"),
            of("2001:db8:0:1ff::1"),
            of("2001:db8:0:ff00::1"),
        );
        assert_eq!(one.wider(56), near.wider(56));
        assert_ne!(one.wider(56), far.wider(56));
        assert_eq!(one.wider(48), far.wider(48));
        assert_ne!(one.wider(48), of("2001:db8:1::1").wider(48));
        assert_eq!(of("192.0.2.1").wider(48), None);
        let times = |network: Network| -> Vec<u32> {
            network
                .levels()
                .into_iter()
                .map(|(_, times)| times)
                .collect()
        };
        assert_eq!(times(one), [1, 2, 4]);
        assert_eq!(times(of("192.0.2.1")), [1]);
    }
}
