//! The audit log at collectors: what a real syslog server writes down, and that nothing is lost, whoever is down.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::rsyslogd::{Message, Pem, Rsyslogd, Transport};

use crate::harness::{
    Answer, Authority, Collector, Replicas, Server, Speech, database, eventually, fresh, image,
};

const SETTINGS: &str = "/api/v2.0/configurations";
const STATE: &str = "/api/ext/v1/audit-forward";
const TEST: &str = "/api/ext/v1/audit-forward/test";

/// Servers that may connect to collectors on this machine.
const LOCAL: (&str, &str) = ("GANTRY_OUTGOING__ALLOW", "127.0.0.0/8");

async fn set(server: &Server, settings: &Value) -> Answer {
    server.admin().put(SETTINGS).json(settings).await
}

fn rsyslogd(transport: &Transport<'_>) -> Rsyslogd {
    Rsyslogd::start(transport).expect("apt-get install rsyslog rsyslog-openssl")
}

/// All entries of the log, as `gantry audit export` prints them.
async fn exported(server: &Server) -> Vec<Value> {
    let text = server.cli_as_server(&["audit", "export"]).await;
    assert!(text.status.success(), "{text:?}");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let entries = text.lines().map(serde_json::from_str);
    entries
        .map(|entry| entry.expect("an entry is JSON"))
        .collect()
}

fn id(entry: &Value) -> i64 {
    entry["id"].as_i64().expect("an entry has an id")
}

/// The ids of entries from the one on that switched forwarding on.
async fn expected(server: &Server) -> Vec<i64> {
    let all = exported(server).await;
    let first = all.iter().find(|entry| {
        entry["resource_type"] == "configuration"
            && entry["detail"]
                .as_str()
                .is_some_and(|names| names.contains("audit_log_forward"))
    });
    let first = id(first.expect("forwarding was switched on"));
    all.iter().map(id).filter(|id| *id >= first).collect()
}

/// The entries in texts that are JSON, but for tests.
fn entries(texts: impl IntoIterator<Item = String>) -> Vec<Value> {
    let parsed = texts.into_iter().map(|text| {
        let parsed = serde_json::from_str::<Value>(text.trim());
        parsed.unwrap_or_else(|error| panic!("{error}: {text}"))
    });
    parsed
        .filter(|entry| entry["test"] != json!(true))
        .collect()
}

fn at_rsyslogd(server: &Rsyslogd) -> Vec<Value> {
    entries(server.messages().into_iter().map(|message| message.text))
}

fn at_collector(collector: &Collector) -> Vec<Value> {
    let texts = collector.messages().into_iter().map(|message| {
        let (_, text) = message.split_once("\"] ").expect("it has structured data");
        text.to_owned()
    });
    entries(texts)
}

fn posted(collector: &Collector) -> Vec<Value> {
    let lines = collector.requests().into_iter().flat_map(|request| {
        let lines: Vec<String> = request.body.lines().map(str::to_owned).collect();
        lines
    });
    entries(lines)
}

/// Waits until a collector has every entry, and fails if one came before an older one for the first time.
async fn all_arrive(server: &Server, there: impl Fn() -> Vec<Value> + Send + Sync) -> Vec<Value> {
    eventually(60, "every entry is at the collector", async || {
        let wanted: BTreeSet<i64> = expected(server).await.into_iter().collect();
        let came: BTreeSet<i64> = there().iter().map(id).collect();
        let is_all = came.is_superset(&wanted);
        is_all.then_some(())
    })
    .await;
    let came = there();
    in_order(&came);
    came
}

/// Fails if an entry came for the first time after a newer one.
fn in_order(came: &[Value]) {
    let (mut seen, mut newest) = (BTreeSet::new(), 0);
    for id in came.iter().map(id) {
        if seen.insert(id) {
            assert!(id > newest, "{id} came after {newest}");
        }
        newest = newest.max(id);
    }
}

/// Some entries: a project, an image, a pull, a refusal.
async fn happen(server: &Server) {
    let project = server.private_project().await;
    let (admin, repository) = (server.admin(), project.repository("app"));
    admin
        .push_image(&repository, "v1", &image(&repository))
        .await;
    admin
        .get(&format!("/v2/{repository}/manifests/v1"))
        .await
        .expect(200);
    let robot = server.as_user_with("größe-使用者", "Wrong-Passw0rd");
    robot
        .get("/service/token?service=harbor-registry")
        .await
        .expect(401);
    // Pulls and refusals are written within a second.
    eventually(10, "everything is written", async || {
        let all = exported(server).await;
        let has = |kind: &str| {
            all.iter()
                .any(|entry| entry["operation"] == kind && entry["repository"] == *repository)
        };
        let refused = all
            .iter()
            .any(|entry| entry["principal_name"] == "größe-使用者");
        (has("pull") && refused).then_some(())
    })
    .await;
}

fn check(message: &Message) {
    assert!(["110", "108"].contains(&&*message.priority), "{message:?}");
    assert_eq!(
        (&*message.application, &*message.host),
        ("gantry", "registry.example")
    );
    assert!(
        message.data.starts_with("[meta sequenceId=\""),
        "{message:?}"
    );
    assert!(
        message.data.contains("[origin software=\"gantry\""),
        "{message:?}"
    );
    let entry: Value = serde_json::from_str(message.text.trim()).expect("it is JSON");
    if entry["test"] == json!(true) {
        assert_eq!(message.id, "test");
        return;
    }
    let word = |key: &str| entry[key].as_str().expect("a text").to_owned();
    assert_eq!(
        message.id,
        format!("{}_{}", word("operation"), word("resource_type"))
    );
    assert_eq!(
        message.priority,
        if entry["success"] == json!(true) {
            "110"
        } else {
            "108"
        }
    );
    // What rsyslog writes may have another number of digits and form of UTC.
    assert_eq!(message.time[..23], word("time")[..23]);
}

async fn syslog_by(transport: &Transport<'_>, protocol: &str, more: Value) {
    let syslog = rsyslogd(transport);
    let server = Server::with(&[
        LOCAL,
        (
            "GANTRY_SERVER__EXTERNAL_URL",
            "https://registry.example:8443",
        ),
    ])
    .await;
    happen(&server).await;
    let mut settings = more;
    settings["audit_log_forward_endpoint"] = json!(syslog.address());
    settings["audit_log_forward_protocol"] = json!(protocol);
    set(&server, &settings).await.expect(200);
    happen(&server).await;
    let came = all_arrive(&server, || at_rsyslogd(&syslog)).await;
    let wanted = expected(&server).await;
    // What was written before is not sent, and nothing is sent twice while all is well.
    assert_eq!(came.iter().map(id).collect::<Vec<_>>(), wanted);
    let all = exported(&server).await;
    for entry in &came {
        let mut entry = entry.clone();
        let fields = entry.as_object_mut().expect("an object");
        assert!(fields.remove("time").is_some());
        assert_eq!(fields.remove("host"), Some(json!("registry.example:8443")));
        assert!(all.contains(&entry), "{entry} is not in the log");
    }

    // A test is one well-formed line that says so.
    let tested = server.admin().post(TEST).await.expect(200).json();
    assert_eq!(tested[0]["ok"], true, "{tested}");
    assert_eq!(tested[0]["protocol"], protocol);
    let printed = server.cli_as_server(&["audit", "forward", "test"]).await;
    assert!(printed.status.success(), "{printed:?}");
    let tests = eventually(20, "both test lines came", async || {
        let messages = syslog.messages().into_iter();
        let tests: Vec<Message> = messages.filter(|message| message.id == "test").collect();
        (tests.len() >= 2).then_some(tests)
    })
    .await;
    assert_eq!(tests.len(), 2, "{tests:?}");
    syslog.messages().iter().for_each(check);

    let state = server.admin().get(STATE).await.expect(200).json();
    assert_eq!(state[0]["collector"], "syslog");
    assert_eq!(
        (&state[0]["failures"], &state[0]["error"]),
        (&json!(0), &json!(""))
    );
    assert_eq!(state[0]["lossy"], protocol == "udp");
    server.stop().await;
}

#[tokio::test]
async fn a_syslog_server_gets_every_entry_by_tcp() {
    syslog_by(&Transport::Tcp, "tcp", json!({})).await;
}

#[tokio::test]
async fn a_syslog_server_gets_every_entry_by_udp() {
    syslog_by(&Transport::Udp, "udp", json!({})).await;
}

#[tokio::test]
async fn a_syslog_server_gets_every_entry_by_tls_from_a_client_that_it_knows() {
    let authority = Authority::new("collectors");
    let (certificate, key) = authority.issue_until(2099);
    let (client, client_key) = authority.issue_until(2099);
    let pem = Pem {
        ca: authority.pem(),
        certificate,
        key,
    };
    let settings = json!({
        "audit_log_forward_ca": authority.pem(),
        "audit_log_forward_client_certificate": client,
        "audit_log_forward_client_key": client_key,
    });
    syslog_by(&Transport::Tls(&pem), "tls", settings).await;
}

#[tokio::test]
async fn a_syslog_server_whose_authority_is_unknown_is_refused_and_says_so() {
    let authority = Authority::new("collectors");
    let (certificate, key) = authority.issue_until(2099);
    let pem = Pem {
        ca: authority.pem(),
        certificate,
        key,
    };
    let syslog = rsyslogd(&Transport::Tls(&pem));
    let server = Server::with(&[LOCAL]).await;
    let settings = json!({
        "audit_log_forward_endpoint": syslog.address(), "audit_log_forward_protocol": "tls",
        "audit_log_forward_ca": Authority::new("others").pem(),
    });
    let refused = set(&server, &settings).await.expect(400);
    let why = refused.message();
    assert!(
        why.contains("audit_log_forward_endpoint") && why.contains("certificate is not trusted"),
        "{why}"
    );
}

/// A server on either database, with the folder of its master key.
async fn on(postgres: bool) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    if !postgres {
        return (Server::with(&[LOCAL]).await, folder);
    }
    let key = folder.path().join("master.key");
    let key = key.to_string_lossy();
    let made = Server::run(&["secret", "new", &key], &[]).await;
    assert!(made.status.success(), "{made:?}");
    let url = database().await;
    let settings = [
        LOCAL,
        ("GANTRY_DATABASE__URL", &url),
        ("GANTRY_SECRETS__MASTER_KEY_FILE", &key),
    ];
    (Server::with(&settings).await, folder)
}

async fn nothing_is_lost(postgres: bool) {
    let mut syslog = rsyslogd(&Transport::Tcp);
    let http = Collector::start(Speech::Http).await;
    let (server, _folder) = on(postgres).await;
    let settings = json!({
        "audit_log_forward_endpoint": syslog.address(), "audit_log_forward_url": http.url(),
    });
    set(&server, &settings).await.expect(200);
    happen(&server).await;
    all_arrive(&server, || at_rsyslogd(&syslog)).await;
    all_arrive(&server, || posted(&http)).await;

    // Both are down for a while, and one of them only refuses.
    syslog.stop();
    http.answer(503);
    happen(&server).await;
    let failing = eventually(30, "both fail, and say why", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        let fail = |at: usize| states[at]["failures"].as_i64() > Some(1);
        (fail(0) && fail(1)).then_some(states)
    })
    .await;
    assert!(
        failing[1]["error"]
            .as_str()
            .is_some_and(|why| why.contains("503")),
        "{failing}"
    );
    assert!(failing[0]["waiting"].as_i64() > Some(0), "{failing}");
    for metric in ["failures", "lag_entries"] {
        for collector in ["syslog", "http"] {
            let name = format!("gantry_audit_forward_{metric}{{collector=\"{collector}\"}}");
            assert!(server.metric(&name).await > 0.0, "{name}");
        }
    }
    server.kill();
    server.restart().await;
    happen(&server).await;
    syslog.launch().expect("it starts again");
    http.answer(200);
    all_arrive(&server, || at_rsyslogd(&syslog)).await;
    all_arrive(&server, || posted(&http)).await;

    // Killed again and again while it forwards.
    for _ in 0..4 {
        let names: Vec<String> = (0..15).map(|_| fresh("killed")).collect();
        for name in &names {
            let body = json!({ "project_name": name });
            let made = server.admin().post("/api/v2.0/projects").json(&body).await;
            made.expect(201);
        }
        server.kill();
        server.restart().await;
    }
    all_arrive(&server, || at_rsyslogd(&syslog)).await;
    all_arrive(&server, || posted(&http)).await;
    let lag = "gantry_audit_forward_lag_seconds{collector=\"syslog\"}";
    eventually(10, "nothing waits", async || {
        (server.metric(lag).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_with_sqlite_whoever_is_down() {
    nothing_is_lost(false).await;
}

#[tokio::test]
async fn nothing_is_lost_with_postgresql_whoever_is_down() {
    nothing_is_lost(true).await;
}

#[tokio::test]
async fn of_two_replicas_one_forwards_and_the_other_takes_over() {
    let collector = Collector::start(Speech::Syslog).await;
    let replicas = Replicas::with(&[LOCAL]).await;
    let (first, second) = (&replicas.first, &replicas.second);
    let settings = json!({ "audit_log_forward_endpoint": collector.address() });
    set(first, &settings).await.expect(200);
    for server in [first, second] {
        happen(server).await;
    }
    let came = all_arrive(second, || at_collector(&collector)).await;
    let unique: BTreeSet<i64> = came.iter().map(id).collect();
    assert_eq!(unique.len(), came.len(), "an entry came twice: {came:#?}");
    first.kill();
    happen(second).await;
    all_arrive(second, || at_collector(&collector)).await;
    first.may_complain();
}

#[tokio::test]
async fn what_a_collector_did_not_read_is_sent_again() {
    let collector = Collector::start(Speech::Syslog).await;
    let server = Server::with(&[LOCAL]).await;
    let settings = json!({ "audit_log_forward_endpoint": collector.address() });
    set(&server, &settings).await.expect(200);
    collector.break_off(true);
    happen(&server).await;
    eventually(20, "the broken connection is reported", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        let error = states[0]["error"].as_str().unwrap_or_default().to_owned();
        error.contains("the connection broke").then_some(())
    })
    .await;
    collector.break_off(false);
    all_arrive(&server, || at_collector(&collector)).await;
}

#[tokio::test]
async fn a_collector_by_http_gets_lines_of_json_with_the_secret() {
    let collector = Collector::start(Speech::Http).await;
    let server = Server::with(&[LOCAL]).await;
    let clear = json!({
        "audit_log_forward_url": collector.url(), "audit_log_forward_authorization": "Bearer hunter2",
    });
    let refused = set(&server, &clear).await.expect(400).message();
    assert!(refused.contains("never sent in the clear"), "{refused}");
    set(
        &server,
        &json!({ "audit_log_forward_url": collector.url() }),
    )
    .await
    .expect(200);
    happen(&server).await;
    all_arrive(&server, || posted(&collector)).await;
    for request in collector.requests() {
        assert!(
            request.head.starts_with("POST /events HTTP/1.1"),
            "{}",
            request.head
        );
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        assert!(request.body.ends_with('\n'), "{}", request.body);
    }
    // Types that the log does not show are not forwarded.
    set(
        &server,
        &json!({ "disabled_audit_log_event_types": "create_project" }),
    )
    .await
    .expect(200);
    let before = posted(&collector).len();
    let hidden = server.private_project().await;
    eventually(20, "the hidden entry is passed over", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        (states[0]["waiting"] == 0).then_some(())
    })
    .await;
    set(&server, &json!({ "disabled_audit_log_event_types": "" }))
        .await
        .expect(200);
    let shown = server.private_project().await;
    let came = eventually(20, "the second project is told", async || {
        let came = posted(&collector);
        let is_there = came.iter().any(|entry| entry["resource"] == *shown.name);
        is_there.then_some(came)
    })
    .await;
    assert!(came.len() > before);
    assert!(
        came.iter().all(|entry| entry["resource"] != *hidden.name),
        "{came:#?}"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_a_reason() {
    let server = Server::with(&[LOCAL]).await;
    let closed = Collector::start(Speech::Syslog).await;
    let address = closed.address();
    drop(closed);
    eventually(10, "nobody listens", async || {
        let reached = tokio::net::TcpStream::connect(&*address).await;
        reached.is_err().then_some(())
    })
    .await;
    for (settings, why) in [
        (
            json!({ "audit_log_forward_endpoint": address }),
            "audit_log_forward_endpoint: it cannot be reached",
        ),
        (
            json!({ "audit_log_forward_endpoint": "collector" }),
            "audit_log_forward_endpoint: must be HOST:PORT",
        ),
        (
            json!({ "audit_log_forward_protocol": "http" }),
            "audit_log_forward_protocol: must be tcp, tls or udp",
        ),
        (
            json!({ "audit_log_forward_url": "collector:80" }),
            "audit_log_forward_url: must be https://",
        ),
        (
            json!({ "audit_log_forward_client_certificate": Authority::new("x").pem() }),
            "audit_log_forward_client_key: must not",
        ),
        (
            json!({ "skip_audit_log_database": true }),
            "skip_audit_log_database",
        ),
    ] {
        let refused = set(&server, &settings).await.expect(400).message();
        assert!(refused.contains(why), "{settings}: {refused}");
    }
    server.admin().post(TEST).await.expect(400);
    let person = server.stranger().await;
    person.post(TEST).await.expect(403);
    person.get(STATE).await.expect(403);
    server.anonymous().get(STATE).await.expect(401);
    // A request leads nowhere on this machine unless the operator says so.
    let guarded = Server::start().await;
    let listening = Collector::start(Speech::Http).await;
    let settings = json!({ "audit_log_forward_endpoint": listening.address() });
    let refused = set(&guarded, &settings).await.expect(400).message();
    assert!(refused.contains("[outgoing] allow"), "{refused}");
    let settings = json!({ "audit_log_forward_url": listening.url() });
    set(&guarded, &settings).await.expect(200);
    let tested = guarded.admin().post(TEST).await.expect(200).json();
    assert_eq!(tested[0]["ok"], false, "{tested}");
    assert!(listening.requests().is_empty());
}

#[tokio::test]
async fn a_collector_that_the_environment_fixes_may_be_on_this_machine() {
    let collector = Collector::start(Speech::Syslog).await;
    let address = collector.address();
    let fixed = ("GANTRY_SETTINGS__AUDIT_LOG_FORWARD_ENDPOINT", &*address);
    let server = Server::with(&[fixed]).await;
    let project = server.private_project().await;
    eventually(20, "it is forwarded to", async || {
        let came = at_collector(&collector);
        let is_told = came.iter().any(|entry| entry["resource"] == *project.name);
        is_told.then_some(())
    })
    .await;
    // Where it is taken away, what waits is kept, as another replica may still have it; setting it to nothing ends that.
    server.stop().await;
    server.set(&[("GANTRY_SETTINGS__AUDIT_LOG_FORWARD_ENDPOINT", "")]);
    server.restart().await;
    eventually(10, "nothing is forwarded any more", async || {
        let states = server.admin().get(STATE).await.expect(200).json();
        (states == json!([])).then_some(())
    })
    .await;
    let nothing = json!({ "audit_log_forward_endpoint": "" });
    set(&server, &nothing).await.expect(200);
}

#[tokio::test]
async fn pushes_do_not_wait_for_a_collector_that_hangs() {
    let collector = Collector::start(Speech::Syslog).await;
    let server = Server::with(&[LOCAL]).await;
    let (admin, project) = (server.admin(), server.private_project().await);
    let settings = json!({ "audit_log_forward_endpoint": collector.address() });
    set(&server, &settings).await.expect(200);
    collector.hang(true);
    let begun = Instant::now();
    for number in 0..20 {
        let repository = project.repository(&format!("app{number}"));
        admin
            .push_image(&repository, "v1", &image(&repository))
            .await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    collector.hang(false);
    all_arrive(&server, || at_collector(&collector)).await;
}
