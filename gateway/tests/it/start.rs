//! Starting, stopping and handing over: what is wrong is said before anything is made, and no process is left without
//! listeners.

use std::fs::{self, File, Permissions};
use std::future::IntoFuture;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Authority, Server, database, eventually, free_port, gantry, noise, sha256};

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A start that must not succeed: it ends soon with 1, without a panic, and says these things on one line.
async fn refused(data: &str, settings: &[(&str, &str)], parts: &[&str]) -> String {
    let begun = Instant::now();
    let free = || format!("127.0.0.1:{}", free_port());
    let (listen, metrics) = (free(), free());
    let mut environment = vec![
        ("GANTRY_SERVER__LISTEN", &*listen),
        ("GANTRY_SERVER__METRICS_LISTEN", &*metrics),
    ];
    environment.extend(settings);
    let output = Server::run(&["serve", "--data", data], &environment).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        begun.elapsed()
    );
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("gantry: "))
        .collect();
    assert_eq!(lines.len(), 1, "one line says why:\n{text}");
    for part in parts {
        assert!(lines[0].contains(part), "nothing about {part}:\n{text}");
    }
    for wrong in ["panicked", "serves https", "password "] {
        assert!(!text.contains(wrong), "{wrong}:\n{text}");
    }
    text
}

/// A user who is not root, as whom servers run.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn a_database_of_another_user_stops_the_start() {
    let server = Server::start().await;
    server.stop().await;
    let data = server.data();
    // As after a restore by root.
    chown(&data, Some(NOBODY), Some(NOBODY)).expect("root may");
    for name in ["master.key", "gantry.lock", "blobs", "certs"] {
        let path = data.join(name);
        if path.exists() {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
    }
    // Where nobody may run it.
    let shared = tempfile::tempdir().expect("a temporary folder can be made");
    let program = shared.path().join("gantry");
    fs::copy(gantry(&[]).get_program(), &program).expect("it can be copied");
    for folder in [shared.path(), server.scratch()] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
    }
    let free = || format!("127.0.0.1:{}", free_port());
    let started = tokio::process::Command::new(&program)
        .args(["serve", "--listen", &free(), "--metrics-listen", &free()])
        .arg("--data")
        .arg(&data)
        .env_clear()
        .uid(NOBODY)
        .gid(NOBODY)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(30), started).await;
    let output = output.expect("it ends").expect("it can be started");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot write the database"), "{text}");
}

#[tokio::test]
async fn root_makes_no_files_for_the_server_of_another_user() {
    let server = Server::start().await;
    server.stop().await;
    let backup = server.scratch().join("backup");
    let backup = backup.to_string_lossy();
    server.cli_prints(&["backup", &backup]).await;
    chown(server.data(), Some(NOBODY), Some(NOBODY)).expect("root may");
    for words in [
        &["restore", &backup][..],
        &["storage", "claim", "--yes"],
        &["storage", "move"],
    ] {
        let output = server.cli(words).await;
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let text = said(&output);
        assert!(text.contains("belongs to user 65534"), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let data = data.to_string_lossy();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it has an address").to_string();
    for (variable, key, address) in [
        ("GANTRY_SERVER__LISTEN", "[server] listen", &*taken),
        (
            "GANTRY_SERVER__METRICS_LISTEN",
            "[server] metrics_listen",
            &*taken,
        ),
        (
            "GANTRY_SERVER__REDIRECT_LISTEN",
            "[server] redirect_listen",
            &*taken,
        ),
        ("GANTRY_SERVER__LISTEN", "[server] listen", "192.0.2.1:443"),
    ] {
        refused(&data, &[(variable, address)], &[key, address]).await;
    }
}

#[tokio::test]
async fn a_weak_first_password_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (data, file) = (folder.path().join("data"), folder.path().join("password"));
    fs::write(&file, "password\n").expect("it can be written");
    let file = file.to_string_lossy();
    let serve = ["serve", "--data", &data.to_string_lossy()];
    let output = Server::run(&serve, &[("GANTRY_SECRETS__ADMIN_PASSWORD_FILE", &file)]).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let named = format!("[secrets] admin_password_file: {file}");
    assert!(
        text.contains(&named) && text.contains("upper-case letter"),
        "{text}"
    );
    assert!(!data.exists(), "nothing was made");
}

#[tokio::test]
async fn a_given_password_that_is_not_the_stored_one_is_named_at_the_start() {
    let server = Server::start().await;
    let told = "the password of admin is not the one in GANTRY_ADMIN_PASSWORD";
    server.stop().await;
    server.restart().await;
    assert!(!server.log().contains(told), "it is the stored one");
    server.stop().await;
    let next = [("GANTRY_PASSWORD", "Other-Passw0rd")];
    let changed = server.cli_with(&["user", "passwd", "admin"], &next).await;
    assert!(changed.status.success(), "{}", said(&changed));
    server.restart().await;
    assert!(server.log().contains(told), "{}", server.log());
    let admin = server.as_user_with("admin", "Other-Passw0rd");
    admin.get("/api/v2.0/users/current").await.expect(200);
}

/// Runs a first start without a given password until the welcome is there, and gives it.
async fn first_start(data: &str, port: u16) -> String {
    let log = format!("{data}.log");
    let file = File::create(&log).expect("the log can be made");
    let mut child = gantry(&["serve", "--data", data])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--metrics-listen", &format!("127.0.0.1:{}", free_port())])
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("the log can be shared"))
        .stderr(file)
        .spawn()
        .expect("gantry can be run");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    eventually(60, "the welcome is printed", async || {
        read().contains("docker login").then_some(())
    })
    .await;
    // what is printed is true
    let served = std::net::TcpStream::connect(("127.0.0.1", port));
    assert!(served.is_ok(), "{}", read());
    kill_process(Pid::from_child(&child), Signal::TERM).expect("the process can be signalled");
    let status = eventually(30, "the process ends", async || {
        child.try_wait().expect("the process can be asked")
    })
    .await;
    assert!(status.success(), "{}", read());
    read()
}

/// A password that is printed by a start that fails is never seen again.
#[tokio::test]
async fn the_first_password_is_printed_once_everything_serves() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let data = data.to_string_lossy();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let port = free_port();
    let settings = [
        ("GANTRY_STORAGE__BACKEND", "s3"),
        ("GANTRY_STORAGE__S3__ENDPOINT", &*nobody),
        ("GANTRY_STORAGE__S3__BUCKET", "none"),
        ("GANTRY_STORAGE__S3__ACCESS_KEY_ID", "id"),
        ("GANTRY_STORAGE__S3__SECRET_ACCESS_KEY", "secret"),
    ];
    refused(&data, &settings, &["[storage.s3]"]).await;
    let first = first_start(&data, port).await;
    assert!(
        first.contains("first start: user admin, password "),
        "{first}"
    );
    let second = first_start(&data, port).await;
    assert!(!second.contains("first start"), "{second}");
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_in_silence() {
    let server = Server::start().await;
    server.stop().await;
    let key = server.data().join("master.key");
    let kept = fs::read(&key).expect("there is a master key");
    fs::remove_file(&key).expect("it can be removed");
    let data = server.data();
    let parts = ["master.key", "CA", "copy", "gantry db forget-secrets"];
    refused(&data.to_string_lossy(), &[], &parts).await;
    assert!(!key.exists(), "a new key was made");
    fs::write(&key, &kept).expect("it can be put back");
    let refused = server.cli(&["db", "forget-secrets"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    server.restart().await;
    server.still_serves().await;
    eventually(10, "something is sealed", async || {
        let exported = server.cli(&["audit", "export", "--head"]).await;
        exported.status.success().then_some(())
    })
    .await;

    server.stop().await;
    fs::remove_file(&key).expect("it can be removed");
    server.cli_prints(&["db", "forget-secrets"]).await;
    server.restart().await;
    server.still_serves().await;
    let verified = server.cli(&["audit", "verify"]).await;
    let text = said(&verified);
    assert_eq!(verified.status.code(), Some(1), "{text}");
    assert!(
        text.contains("forget-secrets") && text.contains("--head"),
        "{text}"
    );
    let file = server.scratch().join("head.json");
    let head = server.cli_prints(&["audit", "export", "--head"]).await;
    fs::write(&file, head).expect("it can be written");
    let file = file.to_string_lossy();
    server
        .cli_prints(&["audit", "verify", "--head", &file])
        .await;
}

#[tokio::test]
async fn another_master_key_stops_the_start_and_is_named() {
    let server = Server::start().await;
    server.stop().await;
    let key = server.data().join("master.key");
    let kept = fs::read(&key).expect("there is a master key");
    fs::write(&key, "5a".repeat(32)).expect("it can be replaced");
    let data = server.data();
    let parts = ["master_key_file", "made with"];
    refused(&data.to_string_lossy(), &[], &parts).await;
    // Nothing was sealed anew by the wrong one.
    fs::write(&key, kept).expect("it can be put back");
    server.restart().await;
    server.still_serves().await;
}

#[tokio::test]
async fn what_every_user_may_change_stops_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    server.stop().await;
    let data = server.data();
    let set = |mode| fs::set_permissions(&data, fs::Permissions::from_mode(mode));
    set(0o777).expect("the mode can be set");
    refused(&data.to_string_lossy(), &[], &["every user", "chmod 0700"]).await;
    set(0o700).expect("the mode can be set");
    server.restart().await;
}

/// A certificate for `localhost`, valid until the end of a year, and the settings that name it.
fn certificate_until(server: &Server, year: i32) -> [(&'static str, String); 2] {
    let (certificate, key) = Authority::new("another CA").issue_until(year);
    let at = |name: &str| server.scratch().join(name);
    fs::write(at("own.crt"), certificate).expect("the file can be written");
    fs::write(at("own.key"), key).expect("the file can be written");
    [
        (
            "GANTRY_TLS__CERTIFICATE",
            at("own.crt").to_string_lossy().into_owned(),
        ),
        (
            "GANTRY_TLS__KEY",
            at("own.key").to_string_lossy().into_owned(),
        ),
    ]
}

#[tokio::test]
async fn an_expired_certificate_is_named() {
    let server = Server::start().await;
    server.stop().await;
    let settings = certificate_until(&server, 2_020);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(key, value)| (*key, &**value))
        .collect();
    let checked = server.cli_with(&["config", "check"], &settings).await;
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(
        said(&checked).contains("localhost, 127.0.0.1 expired at 2020-12-31"),
        "{}",
        said(&checked)
    );
    let mut child = gantry(&["serve", "--data", &server.data().to_string_lossy()])
        .args(["--listen", &server.host()])
        .args(["--metrics-listen", &format!("127.0.0.1:{}", free_port())])
        .envs(settings.iter().copied())
        .stdout(File::create(server.scratch().join("expired.log")).expect("the log can be made"))
        .stderr(File::create(server.scratch().join("expired.err")).expect("the log can be made"))
        .spawn()
        .expect("gantry can be run");
    let log = || fs::read_to_string(server.scratch().join("expired.err")).unwrap_or_default();
    eventually(30, "the log names it", async || {
        log().contains("expired at 2020-12-31").then_some(())
    })
    .await;
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
    server.restart().await;
}

async fn stops_in_order(server: &Server) {
    let begun = Instant::now();
    server.ask_to_stop();
    for client in [server.operator(), server.anonymous()] {
        eventually(2, "it is not ready", async || {
            (client.get("/readyz").await.status == 503).then_some(())
        })
        .await;
    }
    server.admin().get("/v2/").await.expect(200);
    let elapsed = begun.elapsed();
    assert!(
        elapsed < Duration::from_secs(3),
        "too slow to see anything: {elapsed:?}"
    );
    eventually(10, "new connections are refused", async || {
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await;
        connected.is_err().then_some(())
    })
    .await;
    let elapsed = begun.elapsed();
    assert!(
        elapsed >= Duration::from_millis(2_900),
        "closed after {elapsed:?}"
    );
    server.operator().get("/metrics").await.expect(200);
    assert_eq!(server.operator().get("/readyz").await.status, 503);
}

/// Balancers see 503 while all else is served; whoever scrapes sees the end.
#[tokio::test]
async fn a_process_that_stops_is_not_ready_first_and_without_metrics_last() {
    let server = Server::with(&[("GANTRY_SERVER__DRAIN_DELAY_SECS", "3")]).await;
    let sent = noise("held across the end", 900_000);
    let uploader = server.admin();
    let session = server.admin().start_upload("library/delay").await;
    let path = session.location_with(&format!("digest={}", sha256(&sent)));
    let (mut body, put) = uploader.put(&path).streaming();
    let stopping = async {
        body.send_data(sent.slice(..600_000))
            .await
            .expect("the server reads the body");
        eventually(10, "the upload has begun", async || {
            let metrics = server.operator().get("/metrics").await.text();
            metrics.contains("gantry_uploads_open 1\n").then_some(())
        })
        .await;
        stops_in_order(&server).await;
        body.send_data(sent.slice(600_000..))
            .await
            .expect("the server reads the body");
        drop(body);
    };
    let (stored, ()) = tokio::join!(put.into_future(), stopping);
    stored.expect(201);
    let status = server.ended(30).await;
    assert!(status.success(), "it ended with {status}");
    let log = server.log();
    for (line, times) in [
        ("gantry starts", 1),
        (" listening ", 2),
        ("not ready from now on", 1),
        ("the listeners are closed", 1),
        (" stopped", 1),
    ] {
        assert_eq!(log.matches(line).count(), times, "{line}:\n{log}");
    }
    assert!(log.contains(env!("CARGO_PKG_VERSION")), "{log}");
    server.restart().await;
}

#[tokio::test]
async fn there_is_nothing_to_take_over_where_nobody_serves() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let output = Server::run(
        &["serve", "--take-over", "--data", &data.to_string_lossy()],
        &[],
    )
    .await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("nothing to take over"),
        "{}",
        said(&output)
    );
}

/// SIGQUIT at the wrong time is no reason to stop serving.
#[tokio::test]
async fn without_a_successor_a_process_serves_on() {
    let server = Server::start().await;
    server.may_complain();
    server.ask_to_hand_over();
    eventually(60, "it says so", async || {
        server
            .log()
            .contains("this process serves on")
            .then_some(())
    })
    .await;
    server.still_serves().await;
    server.hand_over().await;
    server.still_serves().await;
    assert!(server.log().contains("handed over"), "{}", server.log());
}

#[tokio::test]
async fn who_waits_for_a_successor_hears_other_signals() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start().await;
        server.may_complain();
        server.ask_to_hand_over();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begun = Instant::now();
        server.signal(signal);
        let status = server.ended(10).await;
        assert!(status.success(), "{signal:?}: {status}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{signal:?}: {took:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_shows_everywhere() {
    let server = Server::start().await;
    let (blobs, aside) = (server.data().join("blobs"), server.scratch().join("aside"));
    fs::rename(&blobs, &aside).expect("the folder can be moved");
    fs::write(&blobs, "in its place").expect("the file can be written");
    let ready = async |status: u16| {
        let answer = server.operator().get("/readyz").await;
        (answer.status == status).then_some(answer.text())
    };
    let why = eventually(20, "it is not ready", async || ready(503).await).await;
    assert!(why.contains("blob store"), "{why}");
    let health = server
        .anonymous()
        .get("/api/v2.0/health")
        .await
        .expect(200)
        .text();
    assert!(
        health.contains("blob store") && health.ends_with(r#""status":"unhealthy"}"#),
        "{health}"
    );
    let metrics = server.operator().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("gantry_store_up 0\n"), "{metrics}");
    assert!(metrics.contains("gantry_database_up 1\n"), "{metrics}");
    fs::remove_file(&blobs).expect("the file can be removed");
    fs::rename(&aside, &blobs).expect("the folder can be moved back");
    eventually(20, "it is ready again", async || ready(200).await).await;
    server.still_serves().await;
    let log = server.log();
    for line in [
        "the blob store does not answer",
        "the blob store answers again",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}

/// PostgreSQL behind a port that a test can close.
struct Door {
    port: u16,
    target: String,
    open: Option<(
        tokio::sync::oneshot::Sender<()>,
        tokio::task::JoinHandle<()>,
    )>,
}

impl Door {
    async fn to(target: &str) -> Self {
        let mut door = Self {
            port: free_port(),
            target: target.to_owned(),
            open: None,
        };
        door.open().await;
        door
    }

    async fn open(&mut self) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port)).await;
        let listener = listener.expect("the port is free");
        let target = self.target.clone();
        let (close, mut closed) = tokio::sync::oneshot::channel();
        let open = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let mut client = tokio::select! {
                    Ok((client, _)) = listener.accept() => client,
                    _ = &mut closed => break,
                };
                let target = target.clone();
                connections.spawn(async move {
                    if let Ok(mut server) = tokio::net::TcpStream::connect(target).await {
                        // either end may go at any time
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
            drop(listener);
            // A look that is under way finds the database there, so that each that fails is refused.
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        self.open = Some((close, open));
    }

    /// Refuses new connections, and cuts those that are open a second later.
    async fn close(&mut self) {
        let (close, open) = self.open.take().expect("it is open");
        close.send(()).expect("the door listens");
        open.await.expect("the door closes");
    }
}

/// A server whose database is behind a door.
async fn behind_a_door() -> (Server, Door) {
    let url = database().await;
    let (user, rest) = url.rsplit_once('@').expect("the URL has a user");
    let (host, name) = rest.split_once('/').expect("the URL has a database");
    let door = Door::to(host).await;
    let url = format!("{user}@127.0.0.1:{}/{name}", door.port);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let key = folder
        .path()
        .join("master.key")
        .to_string_lossy()
        .into_owned();
    let made = Server::run(&["secret", "new", &key], &[]).await;
    assert!(made.status.success(), "{made:?}");
    let server = Server::with(&[
        ("GANTRY_DATABASE__URL", &*url),
        ("GANTRY_SECRETS__MASTER_KEY_FILE", &*key),
    ])
    .await;
    (server, door)
}

#[tokio::test]
async fn a_database_that_is_gone_is_named_once_with_the_cause() {
    let (server, mut door) = behind_a_door().await;
    door.close().await;
    let ready = async |status: u16| {
        let answer = server.operator().get("/readyz").await;
        (answer.status == status).then_some(answer.text())
    };
    let why = eventually(20, "it is not ready", async || ready(503).await).await;
    assert!(why.contains("database"), "{why}");
    let metrics = server.operator().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("gantry_database_up 0\n"), "{metrics}");
    // Requests that fail are not named each; they take as long as several looks.
    for path in ["/v2/library/app/tags/list", "/v2/", "/api/v2.0/projects"] {
        server.admin().get(path).await.expect(503);
    }
    door.open().await;
    eventually(20, "it is ready again", async || ready(200).await).await;
    let log = server.log();
    let named: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("the database does not answer"))
        .collect();
    let place = format!("127.0.0.1:{}", door.port);
    let refused = |line: &&&str| line.contains(&place) && line.contains("refused");
    assert_eq!(named.iter().filter(refused).count(), 1, "{log}");
    // Looks that the closing door or a busy machine interrupted have causes of their own, each named once.
    let distinct: std::collections::BTreeSet<&str> = named
        .iter()
        .map(|line| line.split_once("cause=").map_or(*line, |(_, cause)| cause))
        .collect();
    assert_eq!(distinct.len(), named.len(), "{log}");
    assert!(named.len() <= 3, "{log}");
    assert_eq!(
        log.matches("the database answers again").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("ERROR"), "{log}");
    server.still_serves().await;
    // while the door, which this thread drives, is open
    server.stop().await;
}

#[tokio::test]
async fn a_process_stops_soon_where_its_database_is_gone() {
    for signal in [Signal::INT, Signal::TERM] {
        let (server, mut door) = behind_a_door().await;
        server.may_complain();
        // A login waits to be written.
        server.admin().token(&["repository:library/app:pull"]).await;
        door.close().await;
        let begun = Instant::now();
        server.signal(signal);
        let status = server.ended(10).await;
        assert!(status.success(), "{signal:?}: {status}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{signal:?}: {took:?}");
    }
}

#[tokio::test]
async fn behind_a_balancer_clients_are_told_the_external_url() {
    let server = Server::with(&[("GANTRY_SERVER__EXTERNAL_URL", "https://registry.example")]).await;
    let refused = server.anonymous().get("/v2/").await.expect(401);
    let challenge = refused.header("www-authenticate");
    assert!(
        challenge.contains(r#"realm="https://registry.example/service/token""#),
        "{challenge}"
    );
    let info = server
        .admin()
        .get("/api/v2.0/systeminfo")
        .await
        .expect(200)
        .json();
    assert_eq!(info["registry_url"], "registry.example");
    assert_eq!(info["external_url"], "https://registry.example");
    assert!(
        server.log().contains("serves https://registry.example\n"),
        "{}",
        server.log()
    );
    let shown = server.anonymous().certificate_for("registry.example").await;
    assert!(shown.is_ok(), "{shown:?}");
}

/// Pulls go on where only writing fails, so that the process stays ready.
#[tokio::test]
async fn a_store_that_cannot_be_written_shows() {
    let server = Server::start().await;
    let bytes = noise("stored before", 5_000);
    let digest = server
        .admin()
        .push_blob("library/kept", bytes.clone())
        .await;
    server.stop().await;
    let blobs = server.data().join("blobs");
    let set = |mode| {
        let set = fs::set_permissions(&blobs, Permissions::from_mode(mode));
        set.expect("the mode can be set");
    };
    set(0o555);
    server.restart_held_to_modes().await;
    let health = async || {
        let anyone = server.anonymous();
        anyone.get("/api/v2.0/health").await.expect(200).text()
    };
    eventually(20, "health shows it", async || {
        let health = health().await;
        let shown = health.contains("cannot write to the blob store")
            && health.ends_with(r#""status":"unhealthy"}"#);
        shown.then_some(())
    })
    .await;
    let metrics = server.operator().get("/metrics").await.expect(200).text();
    for line in ["gantry_store_writable 0\n", "gantry_store_up 1\n"] {
        assert!(metrics.contains(line), "no {line}:\n{metrics}");
    }
    server.operator().get("/readyz").await.expect(200);
    let path = format!("/v2/library/kept/blobs/{digest}");
    let pulled = server.admin().get(&path).await.expect(200);
    assert_eq!(pulled.body, bytes);
    set(0o755);
    eventually(30, "it can be written again", async || {
        let health = health().await;
        health.ends_with(r#""status":"healthy"}"#).then_some(())
    })
    .await;
    let metrics = server.operator().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("gantry_store_writable 1\n"), "{metrics}");
    server.still_serves().await;
    let log = server.log();
    for line in [
        "the blob store, asked to write, does not answer",
        "the blob store, asked to write, answers again",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}:\n{log}");
    }
}
