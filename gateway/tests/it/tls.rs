//! The TLS listener: versions, protocols, certificates and their exchange while the server runs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hyper::Version;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Authority, Client, Protocol, Server, Shared, eventually, free_port};

static SERVER: Shared = Shared::new(&[("GANTRY_SERVER__NAMES", "registry.example,10.9.0.2")]);

#[tokio::test]
async fn http1_and_h2_are_both_spoken() {
    let server = SERVER.get().await;
    for (protocol, version) in [
        (Protocol::Http1, Version::HTTP_11),
        (Protocol::Http2, Version::HTTP_2),
    ] {
        let answer = server
            .admin()
            .speaking(protocol)
            .get("/v2/")
            .await
            .expect(200);
        assert_eq!(answer.version, version);
    }
}

#[tokio::test]
async fn tls_12_and_13_are_spoken() {
    let server = SERVER.get().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let negotiated = server
            .negotiated(version)
            .await
            .expect("the handshake succeeds");
        assert_eq!(negotiated, Some(version.version));
    }
}

/// A ClientHello of TLS 1.1, written by hand because no library does it any more.
#[tokio::test]
async fn tls_11_is_refused() {
    let server = SERVER.get().await;
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // no session, four old suites, no compression
    hello.extend([0, 0, 8, 0xc0, 0x13, 0xc0, 0x14, 0, 0x2f, 0, 0x35, 1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).expect("a small message")];
    message.extend(hello);
    let mut record = vec![
        22,
        3,
        1,
        0,
        u8::try_from(message.len()).expect("a small record"),
    ];
    record.extend(message);
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .expect("the server accepts");
    tcp.write_all(&record).await.expect("the server reads");
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(10), tcp.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open after {answer:?}");
    assert!(
        answer.len() >= 7 && answer[0] == 21 && answer[5] == 2,
        "a fatal alert, not {answer:?}"
    );
}

#[tokio::test]
async fn plain_http_on_the_tls_port_does_not_hang() {
    let server = SERVER.get().await;
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .expect("the server accepts");
    tcp.write_all(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .expect("the server reads");
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(10), tcp.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open");
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[tokio::test]
async fn a_plain_listener_redirects() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let server = Server::with(&[("GANTRY_SERVER__REDIRECT_LISTEN", &listen)]).await;
    let plain = server.plain(port);
    for path in ["/v2/", "/api/v2.0/projects?page=1"] {
        let answer = plain.get(path).await.expect(308);
        let target = format!("https://127.0.0.1:{}{path}", server.port());
        assert_eq!(answer.header("location"), target);
    }
    for (host, named) in [
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("a.example", "a.example"),
    ] {
        let answer = plain.get("/v2/").header("host", host).await.expect(308);
        let target = format!("https://{named}:{}/v2/", server.port());
        assert_eq!(answer.header("location"), target);
    }
    let odd = plain.get("/v2/").header("host", "evil.example\\@x").await;
    assert!([308, 400].contains(&odd.status), "{odd}");
}

#[tokio::test]
async fn the_first_certificate_names_what_was_asked_for() {
    let server = SERVER.get().await;
    for host in ["localhost", "127.0.0.1", "registry.example", "10.9.0.2"] {
        let shown = server.anonymous().certificate_for(host).await;
        assert!(shown.is_ok(), "{host}: {shown:?}");
    }
    assert!(
        server
            .anonymous()
            .certificate_for("other.example")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn private_keys_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = SERVER.get().await;
    let key = server.pair_folder().join("server.key");
    for path in [key, server.data().join("master.key")] {
        let found = fs::metadata(&path).expect("the file is there");
        let mode = found.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

/// Tools like skopeo take each key in such a folder for one of the client's own.
#[tokio::test]
async fn the_folder_of_the_ca_holds_nothing_else() {
    let server = SERVER.get().await;
    let entries = fs::read_dir(server.data().join("certs")).expect("the folder is there");
    let files = entries
        .map(|entry| entry.expect("the folder can be read"))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["ca.crt"]);
}

/// Whoever renews by hand rarely has the environment of the server.
#[tokio::test]
async fn a_renewal_by_hand_keeps_the_names_and_the_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let server = Server::with(&[("GANTRY_SERVER__NAMES", "registry.example,10.9.0.2")]).await;
    let key = server.pair_folder().join("server.key");
    // where tests run as root, as another user's server would be renewed
    let other = chown(&key, Some(12_345), Some(12_345)).is_ok();
    let before = server.anonymous().certificate().await;
    server.cli_prints(&["cert", "renew"]).await;
    let renewed = async || (server.anonymous().certificate().await != before).then_some(());
    eventually(3, "the new certificate is shown", renewed).await;
    for host in ["registry.example", "10.9.0.2", "localhost"] {
        let shown = server.anonymous().certificate_for(host).await;
        assert!(shown.is_ok(), "{host}: {shown:?}");
    }
    let found = fs::metadata(&key).expect("the key is there");
    assert_eq!(found.uid() == 12_345, other, "the key has a new owner");

    fs::remove_file(server.pair_folder().join("names")).expect("the file was there");
    let refused = server.cli(&["cert", "renew"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said.contains("registry.example") && said.contains("--force"),
        "{said}"
    );
    server.cli_prints(&["cert", "renew", "--force"]).await;
}

/// A server with the certificate of another CA beside it, and a client that trusts only that CA.
struct Exchange {
    server: Server,
    certificate: String,
    key: String,
    client: Client,
}

impl Exchange {
    async fn prepared() -> Self {
        Self::prepared_until(4096).await
    }

    /// As [`Self::prepared`], with a certificate that is valid until the end of a year.
    async fn prepared_until(year: i32) -> Self {
        let server = Server::start().await;
        let authority = Authority::new("another CA");
        let (certificate, key) = authority.issue_until(year);
        let file = server.scratch().join("another.crt");
        fs::write(&file, authority.pem()).expect("the CA can be written");
        let client = server.anonymous().trusting(&file);
        Self {
            server,
            certificate,
            key,
            client,
        }
    }

    /// Replaces both files the way careful tools do: beside, then renamed.
    fn put_in_place(&self) {
        let folder = self.server.pair_folder();
        for (name, text) in [("server.key", &self.key), ("server.crt", &self.certificate)] {
            fs::write(folder.join("new"), text).expect("the file can be written");
            fs::rename(folder.join("new"), folder.join(name)).expect("the file can be renamed");
        }
    }

    fn expected(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("the certificate is PEM")
    }

    async fn takes_effect(&self) {
        let expected = self.expected();
        let shown = async || {
            self.client
                .certificate_for("127.0.0.1")
                .await
                .ok()
                .filter(|shown| *shown == expected)
        };
        eventually(2, "the new certificate is shown", async || shown().await).await;
    }
}

#[tokio::test]
async fn a_certificate_replaced_on_disk_is_used_within_2_s() {
    let exchange = Exchange::prepared().await;
    exchange.put_in_place();
    exchange.takes_effect().await;
    exchange.client.get("/v2/").await.expect(401);
}

#[tokio::test]
async fn a_certificate_is_read_again_on_sighup() {
    let exchange = Exchange::prepared().await;
    exchange.put_in_place();
    exchange.server.reload();
    exchange.takes_effect().await;
}

#[tokio::test]
async fn a_certificate_that_is_none_changes_nothing() {
    let exchange = Exchange::prepared().await;
    exchange.server.may_complain();
    let folder = exchange.server.pair_folder();
    let old = exchange.server.anonymous();
    let before = old.certificate().await;
    let good_key = fs::read(folder.join("server.key")).expect("the key can be read");
    for (certificate, key) in [
        ("not a certificate".to_owned(), good_key.clone()),
        (exchange.certificate.clone(), good_key),
        (String::new(), Vec::new()),
    ] {
        fs::write(folder.join("server.crt"), certificate).expect("the file can be written");
        fs::write(folder.join("server.key"), key).expect("the file can be written");
        exchange.server.reload();
        let until = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < until {
            assert_eq!(old.certificate().await, before);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    exchange.put_in_place();
    exchange.takes_effect().await;
}

/// 50 connections that ask all the time, old and new ones: none of their requests may fail.
#[tokio::test]
async fn replacing_a_certificate_fails_no_request() {
    let exchange = Exchange::prepared().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU32::new(0));
    let mut asking = Vec::new();
    for _ in 0..50 {
        let (client, stop, answered) = (exchange.server.admin(), stop.clone(), answered.clone());
        client.get("/v2/").await.expect(200);
        asking.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = client.get("/v2/").attempt().await;
                assert!(
                    answer.as_ref().is_ok_and(|answer| answer.status == 200),
                    "{answer:?}"
                );
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    exchange.put_in_place();
    exchange.takes_effect().await;
    let so_far = answered.load(Ordering::Relaxed);
    eventually(10, "the old connections go on", async || {
        (answered.load(Ordering::Relaxed) > so_far + 500).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for task in asking {
        task.await.expect("no request failed");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_named_when_it_is_reloaded() {
    let exchange = Exchange::prepared_until(2_020).await;
    let server = &exchange.server;
    exchange.put_in_place();
    server.reload();
    // 2020-12-31, in seconds since 1970.
    eventually(5, "the metrics show its end", async || {
        let end = server
            .metric("gantry_certificate_expiry_timestamp_seconds")
            .await;
        (end == 1_609_372_800.0).then_some(())
    })
    .await;
    let named = "the server certificate for localhost, 127.0.0.1 expired at 2020-12-31";
    let is_named = async |times| {
        eventually(2, "the log names it", async || {
            (server.log().matches(named).count() > times).then_some(())
        })
        .await;
        server.log().matches(named).count()
    };
    let named_before = is_named(0).await;
    // Also where it is the same one.
    server.reload();
    is_named(named_before).await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains(named));
    assert!(line.is_some_and(|line| line.contains(" WARN ")), "{line:?}");
}
