//! Opening TCP connections. The address that the guard has seen is the one that is connected to: a name is not resolved
//! again in between.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::ForbiddenAddress;
use crate::{Error, Guard, Result, Trust};

/// Addresses of a host that are tried.
const MOST_ADDRESSES: usize = 4;

impl Guard {
    /// A connection to a host, which may be a name or an address, with or without brackets.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if a request named the host and none of its addresses is permitted; what resolving or
    /// connecting fails at; [`Error::Timeout`].
    pub async fn connect(
        &self,
        (host, port): (&str, u16),
        trust: Trust,
        within: Duration,
    ) -> Result<TcpStream> {
        let connecting = async {
            let addresses = self.resolve((host, port), trust).await?;
            first_that_connects(&addresses).await
        };
        timeout(within, connecting)
            .await
            .map_err(|_| Error::Timeout)?
    }

    /// The addresses of a host that may be connected to, for protocols that open their connections themselves: to these,
    /// and not to the name.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Resolve`].
    pub async fn resolve(
        &self,
        (host, port): (&str, u16),
        trust: Trust,
    ) -> Result<Vec<SocketAddr>> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = lookup_host((host, port)).await.map_err(Error::Resolve)?;
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in found {
            if trust == Trust::Trusted || self.permits(address.ip()) {
                permitted.push(address);
            } else {
                refused = Some(ForbiddenAddress(address.ip()));
            }
        }
        permitted.truncate(MOST_ADDRESSES);
        match refused {
            Some(address) if permitted.is_empty() => Err(Error::Forbidden(address)),
            _ if permitted.is_empty() => {
                let none = io::Error::new(io::ErrorKind::NotFound, "it has no address");
                Err(Error::Resolve(none))
            }
            _ => Ok(permitted),
        }
    }
}

async fn first_that_connects(addresses: &[SocketAddr]) -> Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(Error::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(Error::Connect(last))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn who_named_the_address_decides_whether_it_is_guarded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let guard = Guard::default();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let refused = guard.connect((host, port), Trust::Guarded, SECOND).await;
            assert!(
                matches!(refused, Err(Error::Forbidden(_))),
                "{host}: {refused:?}"
            );
        }
        let trusted = guard.connect(("127.0.0.1", port), Trust::Trusted, SECOND);
        trusted.await.unwrap();
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new());
        let allowed = guard.connect(("127.0.0.1", port), Trust::Guarded, SECOND);
        allowed.await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_is_silent_or_not_there_is_an_error() {
        let guard = Guard::default();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        let refused = guard.connect(("127.0.0.1", port), Trust::Trusted, SECOND);
        assert!(matches!(refused.await, Err(Error::Connect(_))));
        let never = guard.connect(("127.0.0.1", port), Trust::Trusted, Duration::ZERO);
        assert!(matches!(
            never.await,
            Err(Error::Timeout | Error::Connect(_))
        ));
    }
}
