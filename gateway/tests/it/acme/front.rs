//! A proxy in front of the ACME server, which refuses requests as a test says, and passes on all others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::harness::Pebble;

/// The largest head of a request.
const HEAD: usize = 16 << 10;

pub(super) struct Front {
    port: u16,
    rule: Arc<Mutex<Option<Rule>>>,
    refused: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Rule {
    path: String,
    status: u16,
    header: String,
}

impl Front {
    pub(super) async fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let front = Self {
            port,
            rule: Arc::default(),
            refused: Arc::default(),
        };
        let (certificate, key) = pebble.in_front();
        let acceptor = TlsAcceptor::from(server(&certificate, &key));
        let connector = TlsConnector::from(client(pebble));
        let (rule, refused, behind) = (front.rule.clone(), front.refused.clone(), pebble.port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                let (rule, refused) = (rule.clone(), refused.clone());
                tokio::spawn(async move {
                    // A connection that fails is one that its client tells of.
                    let _ = pass(stream, (acceptor, connector, behind), &rule, &refused).await;
                });
            }
        });
        front
    }

    pub(super) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// Answers requests for this path so from now on; none where the status is 0.
    pub(super) fn limit(&self, path: &str, status: u16, header: &str) {
        let rule = (status != 0).then(|| Rule {
            path: path.to_owned(),
            status,
            header: header.to_owned(),
        });
        *self.rule.lock().expect("no test panics with the lock") = rule;
    }

    /// How many requests it refused.
    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn pass(
    stream: TcpStream,
    (acceptor, connector, behind): (TlsAcceptor, TlsConnector, u16),
    rule: &Mutex<Option<Rule>>,
    refused: &AtomicUsize,
) -> std::io::Result<()> {
    let mut client = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&head);
    let path = line.split(' ').nth(1).unwrap_or_default();
    let rule = rule.lock().expect("no test panics with the lock").clone();
    if let Some(rule) = rule.filter(|rule| path.starts_with(&rule.path)) {
        refused.fetch_add(1, Ordering::Relaxed);
        let (status, header) = (rule.status, rule.header);
        let text = format!(
            "HTTP/1.1 {status} No\r\n{header}\r\nContent-Length: 9\r\nConnection: close\r\n\r\nslow down"
        );
        client.write_all(text.as_bytes()).await?;
        return client.shutdown().await;
    }
    let tcp = TcpStream::connect(("127.0.0.1", behind)).await?;
    let name = ServerName::try_from("127.0.0.1").expect("it is an address");
    let mut server = connector.connect(name, tcp).await?;
    server.write_all(&head).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

fn server(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let chain = chain
        .collect::<Result<_, _>>()
        .expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("the key is PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.expect("the certificate can be used"))
}

fn client(pebble: &Pebble) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(pebble.ca_file()).expect("the CA can be read") {
        roots
            .add(root.expect("the CA is PEM"))
            .expect("the CA is one");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions are known");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
