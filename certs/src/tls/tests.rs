//! Handshakes over an in-memory pipe, by a rustls client that trusts one authority only.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::authority::Authority;
use crate::hot::{Presented, Source};
use crate::server::ServerCertificate;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[derive(Debug)]
struct Fixed;

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(NOW.unix_timestamp()).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn hot(authority: &Authority) -> Arc<HotCertificates> {
    let main = Presented {
        source: Source::Ca,
        label: String::new(),
        certificate: Arc::new(server(authority)),
    };
    HotCertificates::new(vec![main], NOW)
}

fn config(authority: &Authority) -> Arc<ServerConfig> {
    Tls::new(hot(authority), None).unwrap().config()
}

fn server(authority: &Authority) -> ServerCertificate {
    let names = ["registry.example", "127.0.0.1"].map(|name| name.parse().unwrap());
    let pair = authority.issue(&names, NOW, 30).unwrap();
    ServerCertificate::from_pem(&pair.chain_pem, &pair.key_pem).unwrap()
}

fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_details(
        Arc::new(aws_lc_rs::default_provider()),
        Arc::new(Fixed),
    )
    .with_protocol_versions(versions)
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    Arc::new(config)
}

type Connected = std::io::Result<TlsStream<tokio::io::DuplexStream>>;

/// Shakes hands and says one byte each way, so that tickets arrive.
async fn connect(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, name: &str) -> Connected {
    let (near, far) = tokio::io::duplex(64 << 10);
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let serving = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        stream.read_u8().await
    });
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::clone(client))
        .connect(name, near)
        .await;
    let Ok(mut stream) = shaken else {
        serving.abort();
        return shaken;
    };
    stream.write_u8(7).await?;
    assert_eq!(stream.read_u8().await?, 7);
    Ok(stream)
}

fn presented(stream: &TlsStream<tokio::io::DuplexStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_sees_each_certificate_in_its_turn() {
    let authority = Authority::create("CA", NOW).unwrap();
    let hot = hot(&authority);
    let config = Tls::new(Arc::clone(&hot), None).unwrap().config();

    let before = connect(&config, &client(&authority, BOTH), "registry.example")
        .await
        .unwrap();
    assert_eq!(presented(&before), hot.main().certified_key().cert[0]);

    hot.replace(0, server(&authority));
    let after = connect(&config, &client(&authority, BOTH), "127.0.0.1")
        .await
        .unwrap();
    assert_eq!(presented(&after), hot.main().certified_key().cert[0]);
    assert_ne!(presented(&before), presented(&after));
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_refuses() {
    let (own, other) = (
        Authority::create("CA", NOW).unwrap(),
        Authority::create("CA", NOW).unwrap(),
    );
    let config = config(&own);
    assert!(
        connect(&config, &client(&other, BOTH), "registry.example")
            .await
            .is_err()
    );
    assert!(
        connect(&config, &client(&own, BOTH), "other.example")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_server_prefers_aes_128_and_http_2_whatever_the_client_lists_first() {
    let authority = Authority::create("CA", NOW).unwrap();
    let config = config(&authority);
    for (versions, version, suite) in [
        (
            BOTH,
            ProtocolVersion::TLSv1_3,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
        ),
        (
            OLD,
            ProtocolVersion::TLSv1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
    ] {
        let stream = connect(&config, &client(&authority, versions), "registry.example")
            .await
            .unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(version));
        assert_eq!(
            session
                .negotiated_cipher_suite()
                .map(|chosen| chosen.suite()),
            Some(suite)
        );
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn a_session_resumes() {
    let authority = Authority::create("CA", NOW).unwrap();
    let config = config(&authority);
    for versions in [BOTH, OLD] {
        let client = client(&authority, versions);
        connect(&config, &client, "registry.example").await.unwrap();
        let again = connect(&config, &client, "registry.example").await.unwrap();
        assert_eq!(
            again.get_ref().1.handshake_kind(),
            Some(HandshakeKind::Resumed)
        );
    }
}
