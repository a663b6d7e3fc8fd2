//! Ports of 127.0.0.1 that nobody listens on.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port that the kernel gives to no outgoing connection, so that a server which ended finds it
/// free again, and several ports can be chosen before the first is taken.
pub fn lasting_port() -> Result<u16, String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs beside this one begin elsewhere.
    let begin = process::id().wrapping_mul(64);
    for _ in 0..COUNT {
        let next = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % u32::from(COUNT)).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port from {FIRST} on is free"))
}

/// `HOST:PORT` of such a port.
pub fn loopback() -> Result<String, String> {
    Ok(format!("127.0.0.1:{}", lasting_port()?))
}

/// Linux takes outgoing ports from 32768 on.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

#[cfg(test)]
mod tests {
    use super::lasting_port;

    #[test]
    fn a_lasting_port_is_given_once_and_lies_below_the_kernels_own() {
        let ports: Vec<u16> = (0..20).map(|_| lasting_port().unwrap()).collect();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
        assert!(ports.iter().all(|port| (20_000..32_000).contains(port)));
    }
}
