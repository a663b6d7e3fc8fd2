//! Errors of TLS material, with messages that say where and what to do.

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why TLS material could not be created, read, written or used.
///
/// For text that does not come from a file, the origin in a message is `the given certificate` or `the given key`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A certificate or key file could not be read.
    #[error("cannot read {}; check that the path is right and that gantry's user may read it", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A certificate or key file could not be written.
    #[error("cannot write {}; check that its folder exists, has room and is writable", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// A file cannot be replaced by one of the same owner.
    #[error(
        "{} belongs to user {owner}, and only root and that user may replace it; run the command as one of them",
        .path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// The ID of its user.
        owner: u32,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A certificate or key file is too large.
    #[error("{} is larger than {limit} bytes; it should hold one chain or one key in PEM form", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The task that read the files was cancelled, as happens when the runtime stops.
    #[error("reading the certificate files was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    /// There is no certificate in the text.
    #[error(
        "no certificate in {0}; it must hold `BEGIN CERTIFICATE` blocks, the server's own first"
    )]
    NoCertificate(String),
    /// A PEM block does not decode.
    #[error("{0} is not valid PEM; it may be cut short, copy the whole file again")]
    BrokenPem(String, #[source] rustls::pki_types::pem::Error),
    /// The certificate does not decode as X.509.
    #[error("{0} does not hold a valid X.509 certificate; have it issued again")]
    BrokenCertificate(String, #[source] BoxedCause),
    /// There is no revocation list in the text.
    #[error("no revocation list in {0}; it must hold `BEGIN X509 CRL` blocks")]
    NoRevocationList(String),
    /// There is no private key in the text.
    #[error("no private key in {0}; it must hold one `BEGIN PRIVATE KEY` block")]
    NoKey(String),
    /// The private key has a passphrase.
    #[error(
        "the private key in {0} is encrypted; write it without a passphrase: \
         openssl pkey -in encrypted.key -out server.key"
    )]
    EncryptedKey(String),
    /// The private key has an unsupported type.
    #[error("cannot use the private key in {0}; give an ECDSA (P-256, P-384), RSA or Ed25519 key")]
    UnsupportedKey(String, #[source] BoxedCause),
    /// The key is not that of the first certificate.
    #[error(
        "the private key in {key} does not belong to the first certificate in {certificate}; \
         put the server's own certificate first, or give the key that was made for it"
    )]
    KeyMismatch {
        /// Where the certificate came from.
        certificate: String,
        /// Where the key came from.
        key: String,
    },
    /// The certificate is not an authority's.
    #[error("the given certificate may not sign others; give one with CA:TRUE and keyCertSign")]
    NotAnAuthority,
    /// The authority has expired and can issue nothing that a client would trust.
    #[error("the authority's certificate expired at {0}; make a new one: gantry cert rotate")]
    AuthorityExpired(time::OffsetDateTime),
    /// A certificate was requested without any name.
    #[error("a server certificate needs at least one name; set `[server] names`")]
    NoNames,
    /// A name is neither a DNS name, a wildcard nor an IP address.
    #[error(
        "{0:?} is no DNS name, wildcard (*.example.com) or IP address; write it without https:// and without a port"
    )]
    InvalidName(String),
    /// A certificate could not be made or signed.
    #[error("cannot make the certificate")]
    Issue(#[source] rcgen::Error),
    /// The TLS configuration was refused.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// A cause whose type is irrelevant to callers.
pub(crate) type BoxedCause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// The error with all its causes on one line, for a log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
