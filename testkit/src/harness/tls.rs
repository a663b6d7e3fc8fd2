//! TLS as a client sees it: whom it trusts, and certificates of a test's own.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that trusts the certificates in the PEM file `authority`, and nothing else.
pub(crate) fn client_config(authority: &Path, protocols: &[&str]) -> Arc<ClientConfig> {
    configured(authority, protocols, rustls::ALL_VERSIONS)
}

/// As [`client_config`], for a client that knows only this version of TLS.
pub(crate) fn client_config_of_version(
    authority: &Path,
    only: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    configured(authority, &[], &[only])
}

/// A client that knows TLS 1.3 with AES-128-GCM and nothing else.
pub(crate) fn bulk_config(authority: &Path, protocol: &str) -> Arc<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let suite = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.retain(|it| it.suite() == suite);
    let versions = &[&rustls::version::TLS13];
    let mut config = configured_by(provider, authority, &[protocol], versions);
    // Each handshake is a whole one, and shows the certificate.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn configured(
    authority: &Path,
    protocols: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Arc::new(configured_by(provider, authority, protocols, versions))
}

fn configured_by(
    provider: CryptoProvider,
    authority: &Path,
    protocols: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).expect("the CA file can be read") {
        roots
            .add(certificate.expect("the CA file is PEM"))
            .expect("the CA is a certificate");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("TLS 1.2 and 1.3 are there")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

/// The same client, with a certificate of its own.
pub(crate) fn presenting(config: &ClientConfig, certificate: &str, key: &str) -> Arc<ClientConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let chain = chain
        .collect::<Result<_, _>>()
        .expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("the key is PEM");
    let provider = config.crypto_provider();
    let own = CertifiedKey::from_der(chain, key, provider).expect("the key can be used");
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
    // Its sessions are its own.
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

pub(crate) async fn handshake(
    config: Arc<ClientConfig>,
    tcp: TcpStream,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).expect("the host is a name or an address");
    TlsConnector::from(config).connect(name, tcp).await
}

/// A throw-away CA that signs certificates for the loopback names.
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).expect("a CA can be made");
        Self { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Certificate and key, both PEM, for `localhost` and 127.0.0.1, valid until the end of a year.
    pub fn issue_until(&self, year: i32) -> (String, String) {
        self.issue(year, Vec::new())
    }

    /// As [`Self::issue_until`], as an intermediate would: the certificate says where that of its issuer can be fetched.
    pub fn issue_as_intermediate(&self, year: i32) -> (String, String) {
        let tagged = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).expect("it is short");
            [&[tag, length][..], content].concat()
        };
        let method = tagged(6, &[0x2b, 6, 1, 5, 5, 7, 48, 2]);
        let place = tagged(0x86, b"http://ca.example/ca.crt");
        let access = tagged(0x30, &tagged(0x30, &[method, place].concat()));
        let oid: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        let says = rcgen::CustomExtension::from_oid_content(&oid, access);
        self.issue(year, vec![says])
    }

    fn issue(&self, year: i32, extensions: Vec<rcgen::CustomExtension>) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).expect("the names are valid");
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        params.custom_extensions = extensions;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A client's certificate and key, both PEM, with this DNS name and serial number.
    pub fn client(&self, name: &str, serial: u64) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let mut params =
            rcgen::CertificateParams::new(vec![name.to_owned()]).expect("the name is valid");
        params.serial_number = Some(serial.into());
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(2_090, 12, 31);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A list of revoked certificates, in PEM.
    pub fn revokes(&self, serials: &[u64]) -> String {
        let at = rcgen::date_time_ymd(2_020, 1, 1);
        let revoked = serials.iter().map(|serial| rcgen::RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: at,
            reason_code: None,
            invalidity_date: None,
        });
        let list = rcgen::CertificateRevocationListParams {
            this_update: at,
            next_update: rcgen::date_time_ymd(2_090, 12, 31),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list can be signed");
        list.pem().expect("a list can be written")
    }
}
