//! Configuration: what is misspelt stops the start, and what is secret is not shown.

use std::fs;
use std::process::Output;

use crate::harness::Server;

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn a_misspelt_key_stops_the_start_with_a_suggestion() {
    for (key, value, suggestion) in [
        ("GANTRY_SERVER__NAMSE", "a.example", "names"),
        ("GANTRY_SERVR__NAMES", "a.example", "server"),
    ] {
        let output = Server::run(&["config", "check"], &[(key, value)]).await;
        assert!(!output.status.success(), "{}", said(&output));
        assert!(
            said(&output).contains(suggestion),
            "no suggestion: {}",
            said(&output)
        );
        let output = Server::run(&["serve"], &[(key, value)]).await;
        assert!(!output.status.success(), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_misspelt_key_in_the_file_stops_the_start_with_a_suggestion() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("gantry.toml");
    fs::write(&file, "[server]\nlistn = \"127.0.0.1:1\"\n").expect("the file can be written");
    let file = file.to_string_lossy();
    let output = Server::run(&["config", "check", "--config", &file], &[]).await;
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("listen"),
        "no suggestion: {}",
        said(&output)
    );
}

#[tokio::test]
async fn two_listeners_with_one_address_stop_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    // Nobody comes to listen.
    let (one, other) = ("127.0.0.1:1", "127.0.0.1:2");
    for (metrics, redirect, named) in [
        (one, "", "metrics_listen"),
        (other, one, "redirect_listen"),
        (other, other, "redirect_listen"),
    ] {
        let output = Server::run(
            &[
                "serve",
                "--data",
                &data.to_string_lossy(),
                "--listen",
                one,
                "--metrics-listen",
                metrics,
            ],
            &[("GANTRY_SERVER__REDIRECT_LISTEN", redirect)],
        )
        .await;
        assert!(!output.status.success(), "{}", said(&output));
        let expected = format!("{named} ");
        assert!(said(&output).contains(&expected), "{}", said(&output));
        assert!(
            said(&output).contains("a port of its own"),
            "{}",
            said(&output)
        );
        assert!(!data.exists(), "nothing was made: no password was lost");
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_is_named() {
    let output = Server::run(
        &["config", "check"],
        &[("GANTRY_LIMITS__IDLE_SECS", "soon")],
    )
    .await;
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).to_lowercase().contains("idle_secs"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn the_environment_overrides_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("gantry.toml");
    fs::write(&file, "[server]\nnames = [\"file.example\"]\n").expect("the file can be written");
    let file = file.to_string_lossy();
    let show = ["config", "show", "--config", &file];
    let output = Server::run(&show, &[]).await;
    assert!(
        output.status.success() && said(&output).contains("file.example"),
        "{}",
        said(&output)
    );
    let output = Server::run(
        &show,
        &[("GANTRY_SERVER__NAMES", "one.example,two.example")],
    )
    .await;
    let text = said(&output);
    assert!(
        text.contains("one.example")
            && text.contains("two.example")
            && !text.contains("file.example"),
        "{text}"
    );
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let secret = "Very-Secret-Passw0rd";
    for (variable, value) in [
        ("GANTRY_ADMIN_PASSWORD", secret.to_owned()),
        ("GANTRY_STORAGE__S3__SECRET_ACCESS_KEY", secret.to_owned()),
        (
            "GANTRY_DATABASE__URL",
            format!("postgres://user:{secret}@db.example/gantry"),
        ),
        (
            "GANTRY_DATABASE__URL",
            format!("postgres://db.example/gantry?password={secret}"),
        ),
    ] {
        let output = Server::run(&["config", "show"], &[(variable, &value)]).await;
        assert!(output.status.success(), "{}", said(&output));
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
}

/// What passes the check must not fail at the start, and what fails must say what to write.
#[tokio::test]
async fn the_check_and_the_start_refuse_the_same_settings() {
    for (variable, value, parts) in [
        ("GANTRY_LOG__LEVEL", "verbose", ["[log] level", "info"]),
        (
            "GANTRY_SERVER__NAMES",
            "https://a.example",
            ["[server] names", "without https://"],
        ),
        (
            "GANTRY_SERVER__TRUSTED_PROXIES",
            "10.0.0.5",
            ["[server] trusted_proxies", "write 10.0.0.5/32"],
        ),
        (
            "GANTRY_SERVER__THREADS",
            "100000",
            ["[server] threads", "0 to 1024"],
        ),
        ("GANTRY_STORAGE__BACKEND", "s3", ["[storage.s3]", "bucket"]),
        (
            "GANTRY_TLS__CERTIFICATE",
            "/no/chain.pem",
            ["[tls] key", "name the key"],
        ),
        (
            "GANTRY_DATABASE__URL",
            "mysql://h/d",
            ["[database] url", "postgres://"],
        ),
        (
            "GANTRY_LIMITS__CONNECTIONS_PER_ADDRESS",
            "0",
            ["[limits] connections_per_address", "1 to"],
        ),
        (
            "GANTRY_LIMITS__BODY_MEMORY_MIB",
            "0",
            ["[limits] body_memory_mib", "16 to"],
        ),
        (
            "GANTRY_GC__HOLD_SECS",
            "9223372036854775807",
            ["[gc] hold_secs", "0 to"],
        ),
        (
            "GANTRY_SERVER_LISTEN",
            "127.0.0.1:1",
            [
                "GANTRY_SERVER_LISTEN",
                "did you mean GANTRY_SERVER__LISTEN?",
            ],
        ),
    ] {
        for command in [&["config", "check"][..], &["serve"]] {
            let output = Server::run(command, &[(variable, value)]).await;
            assert_eq!(
                output.status.code(),
                Some(1),
                "{variable}: {}",
                said(&output)
            );
            for part in parts {
                assert!(said(&output).contains(part), "no {part}: {}", said(&output));
            }
        }
    }
}

#[tokio::test]
async fn each_file_that_is_missing_has_a_line_of_its_own() {
    let files = [
        ("GANTRY_TLS__CERTIFICATE", "/no/chain.pem"),
        ("GANTRY_TLS__KEY", "/no/key.pem"),
        ("GANTRY_SECRETS__ADMIN_PASSWORD_FILE", "/no/password"),
    ];
    let output = Server::run(&["config", "check"], &files).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.lines().count(), files.len(), "{text}");
    for (line, (_, path)) in text.lines().zip(files) {
        assert!(
            line.starts_with("gantry: [") && line.contains(path),
            "{text}"
        );
    }
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let server = Server::start().await;
    let person = server.stranger().await;
    let token = person.token(&["repository:library/app:pull"]).await;
    server.with_bearer(&token).get("/v2/").await.expect(200);
    let login = format!(
        "grant_type=password&username={}&password=Unusual-Passw0rd&service=harbor-registry",
        person.name()
    );
    server
        .anonymous()
        .post("/service/token")
        .form(&login)
        .await
        .expect(401);
    server.stop().await;
    let log = server.log();
    let secrets = [
        crate::harness::ADMIN_PASSWORD,
        crate::harness::PASSWORD,
        "Unusual-Passw0rd",
        &token,
        "YWRtaW46",
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    server.restart().await;
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    let help = Server::run(&["--help"], &[]).await;
    assert!(help.status.success());
    for command in [
        "serve", "config", "user", "project", "cert", "audit", "storage", "version",
    ] {
        assert!(
            said(&help).contains(command),
            "{command} is not in the help: {}",
            said(&help)
        );
        let more = Server::run(&[command, "--help"], &[]).await;
        assert!(
            more.status.success() && said(&more).contains("Usage"),
            "{command}: {}",
            said(&more)
        );
    }
    let version = Server::run(&["version"], &[]).await;
    assert!(
        version.status.success() && said(&version).contains(env!("CARGO_PKG_VERSION")),
        "{}",
        said(&version)
    );
    assert_eq!(Server::run(&["nonsense"], &[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_start_tells_what_to_do_next() {
    let server = Server::start().await;
    let log = server.log();
    for hint in [
        "ca.crt",
        "docker login",
        "docker push",
        "/etc/docker/certs.d",
    ] {
        assert!(log.contains(hint), "nothing about {hint}:\n{log}");
    }
}

#[tokio::test]
async fn a_log_for_programs_is_json_in_every_line() {
    let server = Server::with(&[("GANTRY_LOG__FORMAT", "json")]).await;
    let asked = server
        .admin()
        .get("/v2/")
        .header("x-request-id", "json-log-1")
        .await;
    asked.expect(200);
    server.stop().await;
    let log = server.log();
    let (mut of_the_request, mut events) = (0, 0);
    for text in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if line["http.status"].is_null() {
            events += usize::from(is_event(&line));
        } else {
            is_access(&line);
            of_the_request += usize::from(line["request.id"] == "json-log-1");
        }
    }
    assert_eq!(
        of_the_request, 1,
        "the access log names the request:\n{log}"
    );
    // Among others, that it starts and that it stops.
    assert!(events >= 2, "{log}");
    server.restart().await;
}

/// A line of the access log has all fields of one, and no others.
fn is_access(line: &serde_json::Value) {
    let fields = line.as_object().expect("it is an object");
    let expected = [
        "client.address",
        "cut",
        "elapsed_ms",
        "http.path",
        "http.request.method",
        "http.status",
        "http.version",
        "principal.name",
        "request.id",
        "sent_bytes",
        "timestamp",
    ];
    let mut found: Vec<&str> = fields.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{line}");
    is_time(&line["timestamp"]);
}

/// Whether a line is of the log, which has time and fields where the access log has them. The other kind of line
/// announces the start.
fn is_event(line: &serde_json::Value) -> bool {
    assert!(line["message"].is_string(), "{line}");
    if line["registry.url"].is_string() {
        return false;
    }
    assert!(line["level"].is_string(), "{line}");
    assert!(
        line["fields"].is_null(),
        "fields are not at the top: {line}"
    );
    is_time(&line["timestamp"]);
    true
}

/// A time such as `2026-01-02T03:04:05.678Z`, with as many digits as there may be.
fn is_time(value: &serde_json::Value) {
    let text = value.as_str().expect("a time is text");
    let (seconds, fraction) = text.split_once('.').expect("a time has a fraction");
    assert!(
        seconds.len() == "2026-01-02T03:04:05".len() && fraction.ends_with('Z'),
        "{text}"
    );
}
