//! Opening TCP connections. The address that the guard checked is the one that is connected to: a name is not resolved
//! again in between.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::ForbiddenAddress;
use crate::{Error, Guard, Result, Trust};

/// Maximum addresses of a host to try.
const MOST_ADDRESSES: usize = 4;
/// How long an address is tried alone before the next one is tried too (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

impl Guard {
    /// A connection to a host, which may be a name or an address, with or without brackets.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if a request named the host and none of its addresses is permitted; errors of resolving and
    /// connecting; [`Error::Timeout`].
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

    /// The permitted addresses of a host, for protocols that open their connections themselves: they must use these,
    /// not the name.
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
        let mut permitted = alternating(permitted);
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

/// Addresses of both families in turn (RFC 8305, section 4): if one family does not work, the other is tried early.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_four = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == is_four);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(one.next());
        all.extend(other.next());
        if all.len() == before {
            return all;
        }
    }
}

async fn first_that_connects(addresses: &[SocketAddr]) -> Result<TcpStream> {
    let connected = first_of(addresses, HEAD_START, |address| async move {
        let stream = TcpStream::connect(address).await;
        stream.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
    });
    let none = || io::Error::from(io::ErrorKind::NotFound);
    let stream = connected.await;
    let stream = stream.map_err(|last| Error::Connect(last.unwrap_or_else(none)))?;
    stream.set_nodelay(true).map_err(Error::Connect)?;
    Ok(stream)
}

/// The result of the first successful attempt at several addresses. Each attempt starts when the previous one has
/// failed, or has not ended within the head start; all continue until one succeeds (RFC 8305, section 5).
///
/// # Errors
/// The last error, once all have failed.
pub async fn first_of<T, E, F>(
    addresses: &[SocketAddr],
    head_start: Duration,
    attempt: impl Fn(SocketAddr) -> F + Send,
) -> Result<T, Option<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut waiting = addresses.iter();
    // Attempts still running are cancelled when this is dropped.
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(attempt(*address));
        }
        let ended = match waiting.len() {
            0 => attempts.join_next().await,
            _ => match timeout(head_start, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(Ok(done))) => return Ok(done),
            Some(Ok(Err(error))) => last = Some(error),
            // An attempt that panicked has no result.
            Some(Err(_)) => {}
            None if waiting.len() == 0 => return Err(last),
            None => {}
        }
    }
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
    async fn an_address_that_is_silent_does_not_take_the_time_of_the_others() {
        let addresses: Vec<SocketAddr> = (1..=4)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect();
        let head_start = Duration::from_millis(20);
        let attempt = |address: SocketAddr| async move {
            match address.port() {
                1 => std::future::pending().await,
                2 => Err("refused"),
                port => Ok(port),
            }
        };
        let begun = std::time::Instant::now();
        assert_eq!(first_of(&addresses, head_start, attempt).await, Ok(3));
        assert!(begun.elapsed() < SECOND);
        let refused = first_of(&addresses[1..2], head_start, attempt).await;
        assert_eq!(refused, Err(Some("refused")));
        // The first one may still be the one that answers.
        let slow = |address: SocketAddr| async move {
            if address.port() > 1 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, ()>(address.port())
        };
        assert_eq!(first_of(&addresses, head_start, slow).await, Ok(1));
        assert_eq!(first_of(&[], head_start, slow).await, Err(None));
    }

    #[test]
    fn families_take_turns() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (four, six) = (address("10.0.0.1:1"), address("[fd00::1]:1"));
        let all = alternating(vec![six, six, six, four, four]);
        assert_eq!(all, [six, four, six, four, six]);
        assert_eq!(alternating(Vec::new()), []);
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
