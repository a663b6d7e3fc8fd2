//! The store in a bucket against a server that answers as it is told: nothing may look whole that is not,
//! and credentials come from where they should.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gantry_storage::s3::{SecretKey, Settings};
use gantry_storage::{BlobStore, Chunks, Error, Existing, Identity, S3};
use model::{Algorithm, Hasher, InstallationId, StoreId};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn is(&self, method: &str, part: &str) -> bool {
        let line = self.head.lines().next().unwrap_or_default();
        line.starts_with(method) && line.contains(part)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|line| line.0.eq_ignore_ascii_case(name))
            .map(|line| line.1)
    }
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// A server that answers as it is told, one request a connection.
struct Server {
    store: S3,
    endpoint: String,
    requests: Requests,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `answer` is given the request and how many there were before it; an empty answer hangs up.
    async fn start(answer: impl Fn(&Request, usize) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(&listener);
        let requests = Requests::default();
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let Some(request) = received(&mut socket).await else {
                    continue;
                };
                let before = seen.lock().unwrap().len();
                let answer = answer(&request, before);
                seen.lock().unwrap().push(request);
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            store: S3::open(&settings).unwrap(),
            endpoint: settings.endpoint,
            requests,
            task,
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    async fn read(&self, size: u64) -> Result<Vec<u8>, Error> {
        read_all(self.store.read("1/a", 0..size).await?).await
    }
}

fn settings(listener: &TcpListener) -> Settings {
    Settings {
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        bucket: "bucket".to_owned(),
        access_key_id: "AK".to_owned(),
        secret_access_key: SecretKey::new("SK".to_owned()),
        path_style: true,
        ..Settings::default()
    }
}

async fn received(socket: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut request = Request { head, body };
    let length = request.header("content-length").unwrap_or("0");
    let length: usize = length.parse().unwrap();
    while request.body.len() < length {
        if socket.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn read_all(chunks: Chunks) -> Result<Vec<u8>, Error> {
    let chunks: Vec<Bytes> = chunks.try_collect().await?;
    Ok(chunks.concat())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    answer(
        status,
        &format!("Content-Length: {}\r\n", body.len()),
        &body,
    )
}

/// The head of a range of an object, on a connection that is kept open.
fn kept_open(range: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: bytes {range}/{length}\r\n\r\n"
    )
}

/// A range of an object, of which only `body` comes.
fn partial(range: &str, length: usize, body: &str) -> String {
    let headers = format!("Content-Length: {length}\r\nContent-Range: bytes {range}/10\r\n");
    answer("206 Partial Content", &headers, body)
}

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

#[tokio::test]
async fn a_read_that_breaks_is_taken_up_again() {
    let server = Server::start(|_, before| match before {
        0 => partial("0-9", 10, "0123"),
        _ => partial("4-9", 6, "456789"),
    })
    .await;
    assert_eq!(server.read(10).await.unwrap(), b"0123456789");
    let requests = server.requests();
    let ranges = requests
        .iter()
        .filter_map(|request| request.header("range"));
    assert_eq!(ranges.collect::<Vec<_>>(), ["bytes=0-9", "bytes=4-9"]);
}

#[tokio::test]
async fn reads_share_a_connection_until_the_server_closes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = S3::open(&settings(&listener)).unwrap();
    let reads = tokio::spawn(async move {
        for _ in 0..4 {
            let read = read_all(store.read("1/a", 0..10).await.unwrap()).await;
            assert_eq!(read.unwrap(), b"0123456789");
        }
    });
    for _ in 0..2 {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            received(&mut socket).await.unwrap();
            let answer = kept_open("0-9", 10);
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.write_all(b"0123456789").await.unwrap();
        }
    }
    reads.await.unwrap();
}

#[tokio::test]
async fn bytes_are_gathered_but_the_last_ones_are_not_waited_for() {
    const SIZE: usize = 600_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = S3::open(&settings(&listener)).unwrap();
    let read = tokio::spawn(async move {
        let chunks = store.read("1/a", 0..SIZE as u64).await.unwrap();
        chunks.try_collect::<Vec<Bytes>>().await.unwrap()
    });
    let (mut socket, _) = listener.accept().await.unwrap();
    received(&mut socket).await.unwrap();
    let head = kept_open(&format!("0-{}", SIZE - 1), SIZE);
    socket.write_all(head.as_bytes()).await.unwrap();
    for piece in vec![7; SIZE].chunks(1000) {
        socket.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    // The connection stays open: nothing but the bytes themselves ends the read.
    let chunks = tokio::time::timeout(Duration::from_secs(10), read).await;
    let chunks = chunks.unwrap().unwrap();
    assert_eq!(chunks.concat(), vec![7; SIZE]);
    assert!(chunks.len() < 20, "{} pieces", chunks.len());
}

/// A server for `localhost` with a certificate of its own, which it returns as PEM; it has an object of ten
/// bytes and takes any other.
async fn encrypted(listener: TcpListener) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let answer = match received(&mut socket).await {
                Some(request) if request.is("GET", "") => partial("0-9", 10, "0123456789"),
                _ => answer("200 OK", "Content-Length: 0\r\nETag: \"e\"\r\n", ""),
            };
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    made.cert.pem()
}

#[tokio::test]
async fn a_server_is_trusted_by_its_ca_file() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = settings(&listener);
    let ours = encrypted(listener).await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = encrypted(other).await;
    let store = |pem: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let settings = Settings {
            endpoint: format!("https://localhost:{port}"),
            ca_file: file.path().to_string_lossy().into_owned(),
            ..plain.clone()
        };
        S3::open(&settings).unwrap()
    };
    let trusting = store(&ours);
    let read = read_all(trusting.read("1/a", 0..10).await.unwrap()).await;
    assert_eq!(read.unwrap(), b"0123456789");
    let writer = trusting.create("1/b", hasher()).await.unwrap();
    writer.finish(vec![Bytes::from_static(b"b")]).await.unwrap();

    let read = store(&other).read("1/a", 0..10).await;
    assert!(matches!(read, Err(Error::Unavailable { .. })));
    let writer = store(&other).create("1/b", hasher()).await.unwrap();
    let written = writer.finish(vec![Bytes::from_static(b"b")]).await;
    assert!(matches!(written, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_read_that_stays_short_is_an_error() {
    let server = Server::start(|request, _| {
        let range = request.header("range").unwrap_or_default();
        let range = range.trim_start_matches("bytes=");
        let (from, to) = range.split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        partial(range, to + 1 - from, "x")
    })
    .await;
    let found = server.read(10).await;
    assert!(matches!(found, Err(Error::Unavailable { .. })), "{found:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn fewer_or_other_bytes_than_asked_for_are_refused() {
    for wrong in [
        partial("0-3", 4, "0123"),
        partial("1-10", 10, "0123456789"),
        answer("200 OK", "Content-Length: 4\r\n", "0123"),
        refusal("416 Range Not Satisfiable", "InvalidRange"),
    ] {
        let server = Server::start(move |_, _| wrong.clone()).await;
        let found = server.read(10).await;
        assert!(matches!(found, Err(Error::Truncated(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_answer_is_asked_again_and_then_unavailable() {
    for (status, code) in [
        ("500 Internal Server Error", "InternalError"),
        ("503 Slow Down", "SlowDown"),
    ] {
        let server = Server::start(move |_, _| refusal(status, code)).await;
        let found = server.read(10).await;
        assert!(matches!(found, Err(Error::Unavailable { .. })), "{found:?}");
        assert_eq!(server.requests().len(), 3, "{status}");
        let found = server.store.probe().await;
        assert!(matches!(found, Err(Error::Unavailable { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_not_an_object_that_is_gone() {
    let server = Server::start(|_, _| refusal("404 Not Found", "NoSuchBucket")).await;
    let found = server.read(10).await;
    assert!(matches!(found, Err(Error::Failed { .. })), "{found:?}");
    let server = Server::start(|_, _| refusal("404 Not Found", "NoSuchKey")).await;
    let found = server.read(10).await;
    assert!(matches!(found, Err(Error::Missing(_))), "{found:?}");
}

#[tokio::test]
async fn an_upload_is_sent_again_as_it_was_and_not_hashed() {
    let server = Server::start(|_, before| match before {
        0 => refusal("503 Slow Down", "SlowDown"),
        1 => String::new(),
        _ => answer("200 OK", "Content-Length: 0\r\nETag: \"e\"\r\n", ""),
    })
    .await;
    let writer = server.store.create("1/a", hasher()).await.unwrap();
    let pieces = [&b"one "[..], b"two ", b"three"].map(Bytes::from_static);
    writer.finish(pieces.to_vec()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.body, b"one two three");
        let hash = request.header("x-amz-content-sha256");
        assert_eq!(hash, Some("UNSIGNED-PAYLOAD"), "{}", request.head);
        assert!(!request.head.contains("checksum"), "{}", request.head);
    }
}

/// A server that completes an upload, but whose answer to that is lost.
async fn forgetful(etag: &'static str) -> Server {
    Server::start(move |request, _| {
        if request.is("POST", "uploads") {
            let body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
            answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
        } else if request.is("PUT", "partNumber") {
            // The MD5 of nothing.
            let etag = "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\nContent-Length: 0\r\n";
            answer("200 OK", etag, "")
        } else if request.is("PUT", "") {
            answer("200 OK", "ETag: \"t\"\r\nContent-Length: 0\r\n", "")
        } else if request.is("POST", "uploadId") {
            refusal("404 Not Found", "NoSuchUpload")
        } else if request.is("HEAD", "") {
            answer("200 OK", &format!("Content-Length: 5\r\nETag: \"{etag}\"\r\n"), "")
        } else {
            refusal("404 Not Found", "NoSuchKey")
        }
    })
    .await
}

async fn seal(server: &Server) -> Result<(), Error> {
    let mut writer = server.store.create("1/a", hasher()).await?;
    writer.write(vec![Bytes::from_static(b"hello")]).await?;
    let checkpoint = writer.checkpoint().await?;
    server.store.seal("1/a", checkpoint).await
}

#[tokio::test]
async fn a_lost_answer_to_the_last_request_is_made_good() {
    // The MD5 of the MD5 of nothing, as S3 makes it for one part.
    let server = forgetful("59adb24ef3cdbe0297f05b395827453f-1").await;
    seal(&server).await.unwrap();
}

#[tokio::test]
async fn a_tail_that_cannot_be_removed_is_left_over() {
    let server = forgetful("59adb24ef3cdbe0297f05b395827453f-1").await;
    seal(&server).await.unwrap();
    let left = server.store.leftovers();
    let [tail] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(tail.starts_with("1/a."), "{tail}");
    assert!(server.store.leftovers().is_empty(), "it is told once");
    server.store.return_leftovers(&left);
    assert_eq!(server.store.leftovers(), left);
}

#[tokio::test]
async fn what_another_process_made_of_an_upload_is_not_taken_for_this_one() {
    let server = forgetful("00000000000000000000000000000000-1").await;
    let found = seal(&server).await;
    assert!(matches!(found, Err(Error::Missing(_))), "{found:?}");
}

#[tokio::test]
async fn a_part_that_fails_fails_the_object() {
    let server = Server::start(|request, _| {
        if request.is("POST", "uploads") {
            let body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
            answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
        } else {
            refusal("403 Forbidden", "AccessDenied")
        }
    })
    .await;
    let mut writer = server.store.create("1/a", hasher()).await.unwrap();
    let batch = Bytes::from(vec![7; 1 << 20]);
    let written = async {
        for _ in 0..40 {
            writer.write(vec![batch.clone()]).await?;
        }
        Ok::<_, Error>(())
    };
    let written = tokio::time::timeout(Duration::from_secs(20), written).await;
    let written = written.unwrap();
    assert!(matches!(written, Err(Error::Failed { .. })), "{written:?}");
    let later = writer.checkpoint().await.err();
    assert!(matches!(later, Some(Error::Failed { .. })), "{later:?}");
    assert!(writer.finish(Vec::new()).await.is_err());
}

/// Gives credentials as a security token service, a container and a machine do, and an object to whoever asks.
fn giving(request: &Request, _: usize) -> String {
    if request.is("POST", " / ") {
        let part = |name: &str, value: &str| format!("<{name}>{value}</{name}>");
        let given = [
            part("AccessKeyId", "AK-identity"),
            part("SecretAccessKey", "SK"),
            part("SessionToken", "TOKEN"),
            part("Expiration", "2099-01-01T00:00:00Z"),
        ];
        let result = part(
            "AssumeRoleWithWebIdentityResult",
            &part("Credentials", &given.concat()),
        );
        let body = part("AssumeRoleWithWebIdentityResponse", &result);
        return answer("200 OK", "Content-Type: text/xml\r\n", &body);
    }
    let json = |key: &str| {
        let body = format!(
            r#"{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"SK","Token":"TOKEN","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        answer("200 OK", "Content-Type: application/json\r\n", &body)
    };
    let role = " /latest/meta-data/iam/security-credentials/";
    if request.is("GET", " /container ") {
        json("AK-container")
    } else if request.is("PUT", " /latest/api/token ") {
        answer(
            "200 OK",
            "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\n",
            "METADATA",
        )
    } else if request.is("GET", &format!("{role}the-role ")) {
        json("AK-machine")
    } else if request.is("GET", &format!("{role} ")) {
        answer("200 OK", "", "the-role")
    } else if request.is("GET", " /bucket/1/a") {
        partial("0-9", 10, "0123456789")
    } else {
        answer("404 Not Found", "Content-Length: 0\r\n", "")
    }
}

/// Variable by which the test of credentials tells the processes that it starts where the server is.
const ENDPOINT: &str = "GANTRY_TEST_ENDPOINT";

/// Reads an object, with credentials from this process's environment.
async fn read_with_what_surrounds_it(endpoint: String) {
    let store = S3::open(&Settings {
        endpoint,
        bucket: "bucket".to_owned(),
        path_style: true,
        ..Settings::default()
    });
    let chunks = store.unwrap().read("1/a", 0..10).await.unwrap();
    assert_eq!(read_all(chunks).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn credentials_come_from_where_the_process_runs() {
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        // This is one of the processes that the test starts, each with an environment of its own.
        return read_with_what_surrounds_it(endpoint).await;
    }
    let server = Server::start(giving).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "IDENTITY").unwrap();
    let (endpoint, token) = (server.endpoint.as_str(), token.path().to_str().unwrap());
    let container = format!("{endpoint}/container");
    let ways: [(&str, &[(&str, &str)]); 4] = [
        (
            "AK-environment",
            &[
                ("AWS_ACCESS_KEY_ID", "AK-environment"),
                ("AWS_SECRET_ACCESS_KEY", "SK"),
                ("AWS_SESSION_TOKEN", "TOKEN"),
            ],
        ),
        (
            "AK-identity",
            &[
                ("AWS_ENDPOINT_URL_STS", endpoint),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/gantry"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
            ],
        ),
        (
            "AK-container",
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)],
        ),
        (
            "AK-machine",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)],
        ),
    ];
    for (key, variables) in ways {
        let mut reader = Command::new(std::env::current_exe().unwrap());
        reader.args(["--exact", "credentials_come_from_where_the_process_runs"]);
        reader.env_clear().env(ENDPOINT, endpoint);
        reader.envs(variables.iter().copied());
        let run = tokio::task::spawn_blocking(move || reader.output());
        let run = run.await.unwrap().unwrap();
        assert!(run.status.success(), "{key}: {run:?}");
        let requests = server.requests();
        let read = requests.last().unwrap();
        let signed = read.header("authorization").unwrap();
        assert!(signed.contains(&format!("Credential={key}/")), "{signed}");
        assert_eq!(read.header("x-amz-security-token"), Some("TOKEN"), "{key}");
    }
    let asked = server.requests();
    let of_identity = asked.iter().find(|request| request.is("POST", " / "));
    let form = String::from_utf8_lossy(&of_identity.unwrap().body);
    assert!(form.contains("WebIdentityToken=IDENTITY"), "{form}");
    let of_machine = asked.iter().find(|request| request.is("GET", "the-role"));
    let proof = of_machine.unwrap().header("x-aws-ec2-metadata-token");
    assert_eq!(proof, Some("METADATA"));
}

#[tokio::test]
async fn an_endpoint_with_a_path_keeps_the_bucket_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    for (endpoint, expected) in [
        ("", "/bucket/472222/a"),
        ("/", "/bucket/472222/a"),
        ("/storage/v1/s3", "/storage/v1/s3/bucket/472222/a"),
        ("/storage/v1/s3/", "/storage/v1/s3/bucket/472222/a"),
    ] {
        let settings = Settings {
            endpoint: format!("http://{host}{endpoint}"),
            public_endpoint: format!("https://files.example{endpoint}"),
            ..settings(&listener)
        };
        let store = S3::open(&settings).unwrap();
        let asked = tokio::spawn(async move { store.size("472222/a").await });
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = received(&mut socket).await.unwrap();
        let found = answer("200 OK", "Content-Length: 0\r\n", "");
        socket.write_all(found.as_bytes()).await.unwrap();
        drop(socket);
        asked.await.unwrap().unwrap();
        let line = request.head.lines().next().unwrap();
        assert_eq!(line, format!("HEAD {expected} HTTP/1.1"), "{endpoint}");
        let store = S3::open(&settings).unwrap();
        let lasts = Duration::from_secs(60);
        let url = store.presigned("472222/a", lasts).await.unwrap().unwrap();
        let expected = format!("https://files.example{expected}?");
        assert!(url.starts_with(&expected), "{url}");
    }
}

fn keys<const N: usize>(names: [&str; N]) -> [String; N] {
    names.map(str::to_owned)
}

#[tokio::test]
async fn an_object_that_is_locked_holds_no_other_up() {
    let server = Server::start(|_, _| {
        let error = "<Error><Key>b</Key><Code>AccessDenied</Code><Message>locked</Message></Error>\
                     <Error><Key>c</Key><Code>NoSuchKey</Code></Error>";
        let body = format!("<DeleteResult>{error}</DeleteResult>");
        answer(
            "200 OK",
            &format!("Content-Length: {}\r\n", body.len()),
            &body,
        )
    })
    .await;
    let failed = server.store.delete(&keys(["a", "b", "c"])).await.unwrap();
    let [(key, error)] = &failed[..] else {
        panic!("{failed:?}");
    };
    assert_eq!(key, "b");
    let cause = std::error::Error::source(error).unwrap().to_string();
    assert_eq!(cause, "AccessDenied: locked");
}

#[tokio::test]
async fn a_refusal_to_delete_names_every_object_and_an_outage_none() {
    let server = Server::start(|_, _| refusal("403 Forbidden", "AccessDenied")).await;
    let failed = server.store.delete(&keys(["a", "b"])).await.unwrap();
    let failed: Vec<&str> = failed.iter().map(|(key, _)| &**key).collect();
    assert_eq!(failed, ["a", "b"]);
    let server = Server::start(|_, _| refusal("500 Internal Server Error", "InternalError")).await;
    let failed = server.store.delete(&keys(["a", "b"])).await;
    assert!(
        matches!(failed, Err(Error::Unavailable { .. })),
        "{failed:?}"
    );
}

fn identity(number: u8) -> Identity {
    let installation = InstallationId::new([number; 16]);
    Identity::new(installation, StoreId::new([number; 16]), String::new())
}

/// A server on which another process gives the store its identity first.
async fn overtaken(refused: &'static str, code: &'static str) -> Server {
    Server::start(move |request, before| {
        if request.is("PUT", "gantry-store.json") {
            let asks = request.header("if-none-match") == Some("*");
            return match asks {
                true => refusal(refused, code),
                false => answer("200 OK", "Content-Length: 0\r\nETag: \"e\"\r\n", ""),
            };
        }
        if before == 0 {
            return refusal("404 Not Found", "NoSuchKey");
        }
        let there = serde_json::to_string(&identity(1)).unwrap();
        let length = format!("Content-Length: {}\r\n", there.len());
        answer("200 OK", &length, &there)
    })
    .await
}

#[tokio::test]
async fn an_identity_is_not_written_over_another_one() {
    for (refused, code, puts) in [
        ("412 Precondition Failed", "PreconditionFailed", 1),
        ("409 Conflict", "ConditionalRequestConflict", 1),
        ("501 Not Implemented", "NotImplemented", 2),
    ] {
        let server = overtaken(refused, code).await;
        let own = identity(2);
        let stands = server.store.put_identity(&own, Existing::Kept).await;
        assert_eq!(stands.unwrap(), identity(1), "{code}");
        let requests = server.requests();
        let put = requests.iter().filter(|request| request.is("PUT", ""));
        assert!(put.count() >= puts, "{code}");
    }
}
