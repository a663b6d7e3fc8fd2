//! The PROXY protocol header that a balancer sends first on a connection (versions 1 and 2).

use std::io;
use std::net::IpAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The signature of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1.
const LONGEST_V1: usize = 107;
/// Longest accepted header of version 2.
const LONGEST_V2: usize = 2_048;

/// Reads the header and not a byte more. `None` if the connection is the balancer's own (a health check), so that its
/// own address is used.
pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; SIGNATURE.len()];
    io.read_exact(&mut header).await?;
    if header == SIGNATURE {
        let mut fixed = [0; 4];
        io.read_exact(&mut fixed).await?;
        header.extend_from_slice(&fixed);
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if length > LONGEST_V2 {
            return Err(malformed());
        }
        let start = header.len();
        header.resize(start + length, 0);
        io.read_exact(&mut header[start..]).await?;
    } else {
        while !header.ends_with(b"\r\n") {
            if header.len() >= LONGEST_V1 {
                return Err(malformed());
            }
            header.push(io.read_u8().await?);
        }
    }
    address(&header)
}

/// The client's address in a complete header.
pub(crate) fn address(header: &[u8]) -> io::Result<Option<IpAddr>> {
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(addresses) => Some(addresses.source_address.into()),
            v1::Addresses::Tcp6(addresses) => Some(addresses.source_address.into()),
        }),
        // The balancer's own connection, such as a health check; its addresses must be ignored.
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(None),
        HeaderResult::V2(Ok(header)) => Ok(match header.addresses {
            v2::Addresses::IPv4(addresses) => Some(addresses.source_address.into()),
            v2::Addresses::IPv6(addresses) => Some(addresses.source_address.into()),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        }),
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_header_is_read_to_its_end_and_no_further() {
        let mut io: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\r\nGET /";
        let address = read(&mut io).await.unwrap();
        assert_eq!(address, Some("203.0.113.7".parse().unwrap()));
        assert_eq!(io, b"GET /");
    }

    #[tokio::test]
    async fn the_binary_form_is_read_too() {
        let mut header = SIGNATURE.to_vec();
        header.extend_from_slice(&[
            0x21, 0x11, 0, 12, 203, 0, 113, 9, 10, 0, 0, 1, 4, 0, 1, 187, b'x',
        ]);
        let mut io = header.as_slice();
        assert_eq!(
            read(&mut io).await.unwrap(),
            Some("203.0.113.9".parse().unwrap())
        );
        assert_eq!(io, b"x");
    }

    #[tokio::test]
    async fn the_addresses_of_a_local_connection_are_not_believed() {
        let mut header = SIGNATURE.to_vec();
        header.extend_from_slice(&[0x20, 0x11, 0, 12, 203, 0, 113, 9, 10, 0, 0, 1, 4, 0, 1, 187]);
        let mut io = header.as_slice();
        assert_eq!(read(&mut io).await.unwrap(), None);
    }

    #[tokio::test]
    async fn other_bytes_are_refused() {
        let mut io: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(read(&mut io).await.is_err());
    }
}
