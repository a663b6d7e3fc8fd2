//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Who named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The configuration file or the environment, whose writers may reach everything that the process can.
    Trusted,
    /// A request: the guard decides.
    Guarded,
}

/// Decides which addresses may be connected to: none in a `deny` network, all in an `allow` network, and otherwise all
/// except loopback, link-local, metadata, unspecified and multicast addresses.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

/// Addresses at which clouds give out credentials, besides link-local ones: AWS, Alibaba, Azure, Oracle.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Guard {
    /// A guard with these networks besides what it always forbids.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        Self { allow, deny }
    }

    /// True if an address that a request named may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        forms(address).all(|form| self.permits_form(form))
    }

    fn permits_form(&self, address: IpAddr) -> bool {
        let within = |networks: &[IpNet]| networks.iter().any(|net| net.contains(&address));
        !within(&self.deny) && (within(&self.allow) || !is_special(address))
    }
}

/// An address, and the IPv4 address embedded in it, to which a translator would forward.
fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let address = address.to_canonical();
    let carried = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(six) => carried(six).map(IpAddr::V4),
    };
    std::iter::once(address).chain(carried)
}

/// The IPv4 address within an IPv6 one: IPv4-compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // :: and ::1 are special themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(four(high, low))
        }
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

fn is_special(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(four) => {
                let [first, ..] = four.octets();
                four.is_loopback()
                    || four.is_link_local()
                    || four.is_multicast()
                    // 0.0.0.0/8 is this machine on Linux; 240.0.0.0/4 is reserved, broadcast included.
                    || first == 0
                    || first >= 240
            }
            IpAddr::V6(six) => {
                six.is_loopback()
                    || six.is_unspecified()
                    || six.is_multicast()
                    || six.is_unicast_link_local()
            }
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn what_leads_to_this_machine_or_to_a_clouds_metadata_is_refused() {
        let guard = Guard::default();
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(!permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn directories_stand_in_private_networks() {
        let guard = Guard::default();
        for address in [
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "fd00::1",
            "2001:db8::1",
            "8.8.8.8",
        ] {
            assert!(permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn deny_comes_before_allow_and_allow_before_the_rest() {
        let networks = |text: &str| vec![text.parse().unwrap()];
        let guard = Guard::new(networks("127.0.0.0/8"), networks("127.0.0.2/32"));
        assert!(permits(&guard, "127.0.0.1"));
        assert!(permits(&guard, "::ffff:127.0.0.1"));
        assert!(!permits(&guard, "127.0.0.2"));
        assert!(!permits(&guard, "::ffff:127.0.0.2"));
        assert!(!permits(&guard, "169.254.169.254"));
        let guard = Guard::new(Vec::new(), networks("10.0.0.0/8"));
        assert!(!permits(&guard, "10.0.0.1"));
        assert!(!permits(&guard, "64:ff9b::a00:1"));
    }

    proptest! {
        #[test]
        fn an_address_in_other_clothes_is_judged_like_itself(bits: u32) {
            let guard = Guard::default();
            let four = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(
                guard.permits(four.into()),
                guard.permits(four.to_ipv6_mapped().into())
            );
        }
    }
}
