//! TLS of the registry's listener: versions, suites, sessions, the certificates presented and the clients'
//! certificates accepted. All but sessions can be replaced between handshakes.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::crypto::ring;
use rustls::server::{
    ClientHello, NoClientAuth, ProducesTickets, ResolvesServerCert, ServerConfig,
    ServerSessionMemoryCache, StoresServerSessions,
};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SupportedCipherSuite};
use time::OffsetDateTime;

use crate::challenge::ChallengeCertificate;
use crate::client::{ClientCertificate, ClientTrust, Refused};
use crate::error::{Error, Result};
use crate::hot::HotCertificates;

/// Sessions kept in memory, for TLS 1.2 clients without ticket support.
const KEPT_SESSIONS: usize = 1024;

/// The protocol by which an ACME server asks for the proof of a name (RFC 8737).
const CHALLENGE: &[u8] = b"acme-tls/1";

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, presenting what `certificates` choose at the time of a handshake.
///
/// The provider is aws-lc-rs whatever the process default is. The server's order of cipher suites counts: AES-128-GCM
/// first, the cheapest in bulk (10 rounds; AES-256 takes 14). Sessions resume by stateless tickets. A resumed session
/// has the client's certificate of its first handshake, which is not verified again then: [`Tls::check`] does that.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    certificates: Arc<HotCertificates>,
    sessions: Arc<dyn StoresServerSessions>,
    tickets: Arc<dyn ProducesTickets>,
    trust: ArcSwapOption<ClientTrust>,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// TLS that presents these certificates, and asks for those of clients if there is a trust.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] if the system has no randomness for ticket keys.
    pub fn new(certificates: Arc<HotCertificates>, trust: Option<ClientTrust>) -> Result<Self> {
        let provider = Arc::new(provider());
        let (sessions, tickets) = (
            ServerSessionMemoryCache::new(KEPT_SESSIONS),
            Ticketer::new().map_err(Error::Tls)?,
        );
        let trust = trust.map(Arc::new);
        let tls = Self {
            config: ArcSwap::new(config(&provider, certificates.clone(), trust.as_deref())?),
            trust: ArcSwapOption::new(trust),
            provider,
            certificates,
            sessions,
            tickets,
        };
        tls.rebuild()?;
        Ok(tls)
    }

    /// The settings for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Trusts other authorities and revocation lists from now on, for open connections and sessions too.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`]. Nothing is changed then.
    pub fn set_trust(&self, trust: Option<ClientTrust>) -> Result<()> {
        let before = self.trust.swap(trust.map(Arc::new));
        self.rebuild().inspect_err(|_| self.trust.store(before))
    }

    fn rebuild(&self) -> Result<()> {
        let trust = self.trust.load();
        let config = config(&self.provider, self.certificates.clone(), trust.as_deref())?;
        let mut config = Arc::unwrap_or_clone(config);
        config.session_storage = self.sessions.clone();
        config.ticketer = self.tickets.clone();
        self.config.store(Arc::new(config));
        Ok(())
    }

    /// Checks a client's certificate by the authorities and revocation lists of now.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check(&self, client: &ClientCertificate, now: OffsetDateTime) -> Result<(), Refused> {
        match &*self.trust.load() {
            Some(trust) => client.check(trust, now),
            None => Err(Refused::Unasked),
        }
    }

    /// What is wrong with the lists by which clients are checked, or will be soon.
    pub fn client_findings(&self, now: OffsetDateTime) -> Vec<String> {
        let trust = self.trust.load();
        trust
            .as_deref()
            .map_or_else(Vec::new, |trust| trust.findings(now))
    }

    /// The settings that answer an ACME server's question for a name, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`].
    pub fn answer(&self, proof: &ChallengeCertificate) -> Result<Arc<ServerConfig>> {
        let key = Arc::new(Always(proof.certified_key()));
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(key);
        config.alpn_protocols = vec![CHALLENGE.to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// The name that an ACME server asks about, if it is one (RFC 8737, section 3: it offers this protocol alone).
pub fn challenged_name(hello: &ClientHello<'_>) -> Option<String> {
    let mut offered = hello.alpn()?;
    let is_challenge = offered.next() == Some(CHALLENGE) && offered.next().is_none();
    hello
        .server_name()
        .filter(|_| is_challenge)
        .map(str::to_owned)
}

/// True if a connection only answered an ACME server.
pub fn was_challenge(protocol: Option<&[u8]>) -> bool {
    protocol == Some(CHALLENGE)
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    certificates: Arc<HotCertificates>,
    trust: Option<&ClientTrust>,
) -> Result<Arc<ServerConfig>> {
    let verifier = match trust {
        Some(trust) => trust.verifier(),
        None => Arc::new(NoClientAuth),
    };
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
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
