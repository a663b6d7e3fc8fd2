//! TLS to hosts that users name: trusted authorities and an optional client certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Error, Result};

/// How a host's certificate is checked.
#[derive(Clone, Copy, Debug)]
pub enum Verification<'a> {
    /// By the authorities that the system trusts.
    System,
    /// Only by these authorities, in PEM.
    Authorities(&'a str),
    /// By the authorities that the system trusts, and these, in PEM.
    AlsoAuthorities(&'a str),
    /// Not at all: any certificate is accepted.
    Off,
}

/// A client certificate: a chain and its key, in PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The chain, its own certificate first.
    pub chain: &'a str,
    /// The key.
    pub key: &'a str,
}

/// TLS for a client.
///
/// # Errors
/// [`Error::Pem`], [`Error::Tls`].
pub fn client_config(
    verification: Verification<'_>,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?;
    let builder = match verification {
        Verification::System => builder.with_root_certificates(of_the_system()),
        Verification::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
        Verification::AlsoAuthorities(pem) => {
            let mut roots = of_the_system();
            roots.extend(authorities(pem)?.roots.iter().cloned());
            builder.with_root_certificates(roots)
        }
        Verification::Off => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider))),
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(identity.chain)?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
            let key = key.map_err(|_| Error::Pem("the client's key is no unencrypted PEM key"))?;
            let with_identity = builder.with_client_auth_cert(chain, key);
            with_identity.map_err(Error::Tls)?
        }
    };
    Ok(Arc::new(config))
}

/// Encrypts a connection to a host, which may be a name or an address, with or without brackets.
///
/// # Errors
/// [`Error::Address`], [`Error::Handshake`].
pub async fn secured(
    stream: TcpStream,
    host: &str,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| Error::Address)?;
    let secured = TlsConnector::from(tls).connect(name, stream);
    secured.await.map_err(Error::Handshake)
}

/// If there are none, TLS fails at the host's certificate.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn authorities(pem: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(Error::Tls)?;
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(Error::Pem(
            "there is no certificate in PEM: -----BEGIN CERTIFICATE-----",
        )),
    }
}

/// Accepts every certificate; the host must still have its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_refused() {
        for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            let refused = client_config(Verification::Authorities(pem), None);
            assert!(refused.is_err(), "{pem}");
        }
        let identity = Identity { chain: "", key: "" };
        client_config(Verification::Off, Some(identity)).unwrap_err();
        client_config(Verification::System, None).unwrap();
    }
}
