//! Why there is no connection.

use std::io;
use std::net::IpAddr;

/// Why there is no connection. Messages name no addresses, so that people who sign in may read them; sources do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name has no address.
    #[error("the host's name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// Every address of the host is in a forbidden network.
    #[error(
        "the host's address is one to which Gantry does not connect unless [outgoing] allow names its network"
    )]
    Forbidden(#[source] ForbiddenAddress),
    /// The host does not accept the connection.
    #[error("the host does not take the connection")]
    Connect(#[source] io::Error),
    /// It took too long.
    #[error("the host did not answer in time")]
    Timeout,
    /// Bytes move too slowly.
    #[error("the host sends or takes less than 1 KiB a second")]
    Slow,
    /// It is not `https://HOST[:PORT]/PATH`.
    #[error("it is no address of a server: https://HOST[:PORT]/PATH")]
    Address,
    /// The host does not speak TLS, or its certificate is not trusted.
    #[error("TLS does not work with the host, or its certificate is not trusted")]
    Handshake(#[source] io::Error),
    /// The host's answer is not HTTP, or breaks off.
    #[error("the host does not answer as HTTP requires")]
    Http(#[source] hyper::Error),
    /// There is no connection, or the request or its answer breaks off.
    #[error("the request did not reach the host, or was not answered")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    /// The answer is too large.
    #[error("the host's answer has more than {0} bytes")]
    TooLarge(usize),
    /// The host refuses the document.
    #[error("the host answers with status {0}")]
    Status(u16),
    /// The host redirects again and again.
    #[error("the host redirects too often")]
    Redirects,
    /// Certificates or a key that were given cannot be used.
    #[error("{0}")]
    Pem(&'static str),
    /// TLS cannot be set up with the given material.
    #[error("TLS cannot be set up with these certificates and this key")]
    Tls(#[source] rustls::Error),
}

/// An address to which nothing may connect.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0} is in a network that is not allowed")]
pub struct ForbiddenAddress(pub IpAddr);

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
