//! The certificate in use, replaceable between handshakes, and the TLS settings around it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SupportedCipherSuite};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::server::ServerCertificate;

/// Sessions kept in memory, for TLS 1.2 clients without ticket support.
const KEPT_SESSIONS: usize = 1024;

/// The certificate that the next handshake presents.
pub struct HotCertificate {
    current: ArcSwap<ServerCertificate>,
    replaced: watch::Sender<()>,
}

impl HotCertificate {
    /// Starts with `certificate`.
    pub fn new(certificate: ServerCertificate) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::from_pointee(certificate),
            replaced: watch::Sender::new(()),
        })
    }

    /// Presents `certificate` from the next handshake on; open connections are not affected.
    pub fn replace(&self, certificate: ServerCertificate) {
        self.current.store(Arc::new(certificate));
        self.replaced.send_replace(());
    }

    /// Notifies about each replacement from now on.
    pub fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// The certificate presented now.
    pub fn current(&self) -> Arc<ServerCertificate> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for HotCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.current.load().certified_key()))
    }
}

impl fmt::Debug for HotCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HotCertificate")
            .field(&self.current.load())
            .finish()
    }
}

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, presenting the certificate that `hot` holds at the time of a handshake.
///
/// The provider is aws-lc-rs whatever the process default is. The server's order of cipher suites counts: AES-128-GCM
/// first, the cheapest in bulk (10 rounds; AES-256 takes 14). Sessions resume by stateless tickets.
///
/// # Errors
///
/// [`Error::Tls`] if the system has no randomness for ticket keys.
pub fn server_config(hot: Arc<HotCertificate>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(hot);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = ServerSessionMemoryCache::new(KEPT_SESSIONS);
    config.ticketer = Ticketer::new().map_err(Error::Tls)?;
    Ok(Arc::new(config))
}

fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if ring_is_faster() {
        provider.cipher_suites = ring::ALL_CIPHER_SUITES.to_vec();
    }
    // a stable sort: suites other than AES-128 keep rustls's order
    provider
        .cipher_suites
        .sort_by_key(|suite| !is_aes_128(suite));
    provider
}

/// ring has an AES-GCM for processors with VAES but without AVX-512 (AMD before Zen 4, many Intel desktops), which
/// aws-lc lacks: it takes two thirds of the time there. Everywhere else, and for all other parts of TLS, aws-lc is
/// faster.
fn ring_is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let has_vaes = is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("avx2");
        has_vaes && !is_x86_feature_detected!("avx512f")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn is_aes_128(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

#[cfg(test)]
mod tests;
