//! `gantry doctor`: what it finds on a server that is well and on broken ones, and what its bundle has and has not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Output, Stdio};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::harness::{ADMIN_PASSWORD, Authority, Replicas, Server, Shared, database};

static SERVER: Shared = Shared::new(&[]);

const CHECKS: [&str; 11] = [
    "configuration",
    "owners",
    "names",
    "clock",
    "disk",
    "limits",
    "database",
    "key",
    "storage",
    "certificates",
    "address",
];

/// Runs the doctor with the server's address and these settings.
async fn doctor(server: &Server, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let host = server.host();
    let own = [
        ("GANTRY_SERVER__LISTEN", host.as_str()),
        ("GANTRY_SERVER__NAMES", "127.0.0.1"),
    ];
    let arguments = [&["doctor"][..], arguments].concat();
    let settings = [&own[..], settings].concat();
    server.cli_with(&arguments, &settings).await
}

fn printed(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// The findings of `--json`.
fn findings(run: &Output) -> Vec<Value> {
    let text = printed(run);
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    parsed.collect()
}

/// The findings of a check, each with its level, as text.
fn of(run: &Output, check: &str) -> Vec<(String, String)> {
    let all = findings(run).into_iter();
    let found = all.filter(|finding| finding["check"] == check);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = found.map(|it| {
        let said = format!("{}: {}", text(&it["found"]), text(&it["advice"]));
        (text(&it["level"]), said)
    });
    found.collect()
}

/// Requires that a check fails with these words, and the command with it.
fn fails(run: &Output, check: &str, words: &[&str]) {
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let found = of(run, check);
    let is_meant = |(level, said): &(String, String)| {
        level == "fail" && words.iter().all(|word| said.contains(*word))
    };
    assert!(found.iter().any(is_meant), "{words:?} in {found:?}");
    every_check_is_named(run);
}

fn every_check_is_named(run: &Output) {
    let all = findings(run);
    let named: BTreeSet<&str> = all.iter().filter_map(|it| it["check"].as_str()).collect();
    assert_eq!(named, BTreeSet::from(CHECKS));
}

#[tokio::test]
async fn a_server_that_is_well_is_found_so() {
    let server = SERVER.get().await;
    let run = doctor(&server, &["--json"], &[]).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    every_check_is_named(&run);
    for check in [
        "configuration",
        "owners",
        "database",
        "key",
        "storage",
        "certificates",
        "address",
    ] {
        let found = of(&run, check);
        assert!(found.iter().all(|(level, _)| level == "ok"), "{found:?}");
    }
    let address = of(&run, "address");
    for said in ["get tokens at https://", "arrive as they were sent"] {
        assert!(
            address.iter().any(|(_, found)| found.contains(said)),
            "{address:?}"
        );
    }
    let run = doctor(&server, &[], &[]).await;
    let text = printed(&run);
    for check in CHECKS {
        let is_named = |line: &str| line.split_whitespace().nth(1) == Some(check);
        assert!(text.lines().any(is_named), "no {check}:\n{text}");
    }
}

#[tokio::test]
async fn replicas_have_a_clock_and_connections() {
    let replicas = Replicas::start().await;
    let run = replicas.first.cli_as_server(&["doctor", "--json"]).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let clock = of(&run, "clock");
    assert!(clock[0].1.contains("the database's clock is"), "{clock:?}");
    let database = of(&run, "database");
    let said = &database[0].1;
    assert!(
        said.contains("PostgreSQL ") && said.contains("connections open"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_that_clients_refuse_is_named_with_what_to_do() {
    let server = SERVER.get().await;
    let (certificate, key) = Authority::new("another CA").issue_until(2_020);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (certificate_file, key_file) = (at("old.crt"), at("old.key"));
    fs::write(&certificate_file, certificate).expect("it can be written");
    fs::write(&key_file, key).expect("it can be written");
    let expired = [
        ("GANTRY_TLS__CERTIFICATE", certificate_file.as_str()),
        ("GANTRY_TLS__KEY", key_file.as_str()),
    ];
    let run = doctor(&server, &["--json"], &expired).await;
    fails(&run, "certificates", &["expired", "replace the files"]);

    let other = [("GANTRY_SERVER__NAMES", "registry.invalid")];
    let run = doctor(&server, &["--json"], &other).await;
    let words = ["not valid for registry.invalid", "gantry cert renew"];
    fails(&run, "certificates", &words);
    assert_eq!(of(&run, "names")[0].0, "warning");
}

#[tokio::test]
async fn a_stored_certificate_that_does_not_load_fails() {
    let server = Server::start().await;
    let folder = server.scratch().join("pair");
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let out = folder.to_string_lossy().into_owned();
    let issue = ["cert", "issue", "apps.example", "--out", &out];
    server.cli_prints(&issue).await;
    let (certificate, key) = (at("server.crt"), at("server.key"));
    server
        .cli_prints(&["cert", "import", "apps", &certificate, &key])
        .await;
    let run = doctor(&server, &["--json"], &[]).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    // As after a restore with the key of another installation.
    server
        .sql("update certificate set key = x'00' where name = 'apps'")
        .await;
    let run = doctor(&server, &["--json"], &[]).await;
    fails(&run, "certificates", &["apps", "gantry cert import"]);
}

#[tokio::test]
async fn names_are_not_judged_without_the_certificates_in_the_database() {
    let server = SERVER.get().await;
    let gone = [
        (
            "GANTRY_DATABASE__URL",
            "postgres://gantry@127.0.0.1:1/gantry",
        ),
        ("GANTRY_SERVER__NAMES", "127.0.0.1,imported.invalid"),
    ];
    let run = doctor(&server, &["--json"], &gone).await;
    let found = of(&run, "certificates");
    let levels: Vec<&str> = found.iter().map(|(level, _)| level.as_str()).collect();
    assert_eq!(levels, ["ok", "warning"], "{found:?}");
    assert!(found[1].1.contains("not checked"), "{found:?}");
}

#[tokio::test]
async fn a_database_that_no_server_ever_used_fails_and_stays_empty() {
    let server = SERVER.get().await;
    let url = database().await;
    let empty = [("GANTRY_DATABASE__URL", url.as_str())];
    let run = doctor(&server, &["--json"], &empty).await;
    fails(&run, "database", &["no server ever ran", "[database] url"]);
    let tables = tokio::process::Command::new("psql")
        .args([
            url.as_str(),
            "-qAt",
            "-c",
            "select relname from pg_class where relname like '%migrations%'",
        ])
        .stdin(Stdio::null())
        .output()
        .await
        .expect("psql can be run: apt-get install postgresql-client");
    assert!(
        tables.status.success() && tables.stdout.is_empty(),
        "{tables:?}"
    );
}

#[tokio::test]
async fn root_is_told_what_the_servers_user_may_not_use() {
    let server = Server::start().await;
    let give = |user| {
        let given = chown(server.data(), Some(user), Some(user));
        given.expect("these tests run as root, as `setpriv` in others needs");
    };
    // As after a restore that root made.
    give(1_000);
    let run = doctor(&server, &["--json"], &[]).await;
    give(0);
    fails(&run, "owners", &["gantry.db", "user 1000", "chown"]);
    fails(&run, "owners", &["blobs", "may not change"]);
    let owners = of(&run, "owners");
    assert_eq!(owners[0].0, "warning", "{owners:?}");
    assert!(owners[0].1.contains("setpriv --reuid=1000"), "{owners:?}");
}

#[tokio::test]
async fn clients_that_are_sent_elsewhere_for_tokens_are_told_of() {
    let elsewhere = "https://registry.invalid";
    let server = Server::with(&[("GANTRY_SERVER__EXTERNAL_URL", elsewhere)]).await;
    let run = doctor(&server, &["--json"], &[]).await;
    let address = of(&run, "address");
    let is_told = |(level, said): &(String, String)| {
        level == "warning" && said.contains(elsewhere) && said.contains("external_url")
    };
    assert!(address.iter().any(is_told), "{address:?}");
}

#[tokio::test]
async fn a_file_that_is_not_toml_is_named_without_what_stands_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("gantry.toml");
    let text = "[storage.s3]\nsecret_access_key = \"s3cr3t\n";
    fs::write(&file, text).expect("it can be written");
    let file = file.to_string_lossy().into_owned();
    for command in [
        &["config", "check"][..],
        &["serve"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let arguments = [command, &["--config", file.as_str()]].concat();
        let run = Server::run(&arguments, &[]).await;
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        let said = [&run.stdout[..], &run.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("line 2") && !said.contains("s3cr3t"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_gone_stops_no_other_check() {
    let server = SERVER.get().await;
    let gone = [(
        "GANTRY_DATABASE__URL",
        "postgres://gantry:s3cr3t-of-postgres@127.0.0.1:1/gantry",
    )];
    let run = doctor(&server, &["--json"], &gone).await;
    fails(
        &run,
        "database",
        &["cannot open the database", "[database] url"],
    );
    assert_eq!(of(&run, "storage")[0].0, "warning");
    assert_eq!(of(&run, "address")[0].0, "ok");
    assert!(!printed(&run).contains("s3cr3t"), "{run:?}");
}

#[tokio::test]
async fn the_store_of_another_installation_is_refused() {
    let server = SERVER.get().await;
    let other = Server::start().await;
    let folder = other.data().join("blobs").to_string_lossy().into_owned();
    let foreign = [("GANTRY_STORAGE__PATH", folder.as_str())];
    let run = doctor(&server, &["--json"], &foreign).await;
    fails(&run, "storage", &["belongs to installation", "[storage]"]);

    let absent = server.scratch().join("absent");
    let folder = absent.to_string_lossy().into_owned();
    let run = doctor(
        &server,
        &["--json"],
        &[("GANTRY_STORAGE__PATH", folder.as_str())],
    )
    .await;
    fails(&run, "storage", &["there is no folder", "[storage]"]);
    assert!(!absent.exists(), "the doctor makes no store");
}

#[tokio::test]
async fn the_master_key_of_another_installation_is_named() {
    let server = SERVER.get().await;
    let other = Server::start().await;
    let file = other.data().join("master.key");
    let file = file.to_string_lossy().into_owned();
    let foreign = [("GANTRY_SECRETS__MASTER_KEY_FILE", file.as_str())];
    let run = doctor(&server, &["--json"], &foreign).await;
    fails(&run, "key", &["made with", "master_key_file"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let server = Server::start().await;
    let set = |mode| {
        let set = fs::set_permissions(server.data(), Permissions::from_mode(mode));
        set.expect("the mode can be set");
    };
    // Root is not held to modes otherwise.
    let doctor = server.command(&["doctor", "--json"]);
    let mut held = tokio::process::Command::new("setpriv");
    held.arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(doctor.get_program())
        .args(doctor.get_args())
        .stdin(Stdio::null());
    for (key, _) in doctor.get_envs() {
        held.env_remove(key);
    }
    set(0o500);
    let run = held.output().await;
    set(0o700);
    let run = run.expect("setpriv is missing: apt-get install util-linux");
    fails(
        &run,
        "disk",
        &["cannot write and sync a file", "let the user"],
    );
}

#[tokio::test]
async fn a_setting_that_does_not_exist_is_a_finding_too() {
    let server = SERVER.get().await;
    let misspelt = [("GANTRY_SERVER__NAMSE", "a.example")];
    let run = doctor(&server, &["--json"], &misspelt).await;
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let found = of(&run, "configuration");
    assert_eq!(found[0].0, "fail");
    assert!(found[0].1.contains("did you mean"), "{found:?}");
}

/// The files of a bundle, by name.
fn unpacked(bundle: &Path) -> BTreeMap<String, String> {
    let file = fs::File::open(bundle).expect("the bundle can be read");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().expect("it is an archive");
    let read = entries.map(|entry| {
        let mut entry = entry.expect("it is an archive");
        let name = entry.path().expect("it has a name").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("it is text");
        let name = name.trim_start_matches("gantry-support/").to_owned();
        (name, text)
    });
    read.collect()
}

/// What no bundle may have.
fn secrets(server: &Server) -> Vec<String> {
    let master = fs::read_to_string(server.data().join("master.key"));
    let master = master.expect("there is a master key").trim().to_owned();
    let known = [ADMIN_PASSWORD, "s3cr3t", "ann.lee", "PRIVATE KEY"];
    known
        .map(str::to_owned)
        .into_iter()
        .chain([master])
        .collect()
}

#[tokio::test]
async fn a_bundle_has_what_support_needs_and_no_secret() {
    let server = SERVER.get().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("support.tar.gz");
    let bundle = path.to_string_lossy().into_owned();
    let settings = [
        ("GANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD),
        (
            "GANTRY_STORAGE__S3__SECRET_ACCESS_KEY",
            "s3cr3t-of-the-bucket",
        ),
        ("GANTRY_STORAGE__S3__ACCESS_KEY_ID", "s3cr3t-access-key-id"),
        (
            "GANTRY_TRACING__OTLP_ENDPOINT",
            "https://otlp.invalid/v1/s3cr3t?key=s3cr3t",
        ),
        ("GANTRY_SETTINGS__LDAP_SEARCH_DN", "uid=ann.lee,dc=example"),
        ("GANTRY_SETTINGS__LDAP_SEARCH_PASSWORD", "s3cr3t-of-ldap"),
    ];
    let run = doctor(&server, &["--bundle", &bundle], &settings).await;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = unpacked(&path);
    let said = printed(&run);
    for (name, text) in &files {
        assert!(said.contains(name.as_str()), "{name} is not in {said}");
        for secret in secrets(&server) {
            assert!(!text.contains(&secret), "{secret} is in {name}:\n{text}");
        }
    }
    for (name, expected) in [
        ("report.txt", "certificates"),
        ("configuration.toml", "\"https://otlp.invalid/***\""),
        ("settings.txt", "ldap_search_dn is set"),
        ("versions.txt", "SQLite 3."),
        ("counts.txt", "public projects: 1"),
        ("jobs.txt", "gc "),
        ("system.txt", "MemTotal"),
        ("metrics.txt", ""),
    ] {
        assert!(files[name].contains(expected), "{name}: {}", files[name]);
    }
    assert_eq!(files.len(), 8);

    let again = doctor(&server, &["--bundle", &bundle], &[]).await;
    assert_eq!(again.status.code(), Some(1), "an existing file is kept");
    assert_eq!(unpacked(&path), files);
}

#[tokio::test]
async fn a_bundle_of_a_broken_installation_has_no_secret_either() {
    let server = SERVER.get().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("support.tar.gz");
    let bundle = path.to_string_lossy().into_owned();
    let gone = [(
        "GANTRY_DATABASE__URL",
        "postgres://gantry:s3cr3t-of-postgres@127.0.0.1:1/gantry?password=s3cr3t",
    )];
    let run = doctor(&server, &["--json", "--bundle", &bundle], &gone).await;
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let listed = findings(&run);
    let listed = listed.last().expect("a line names the files");
    assert_eq!(listed["bundle"], bundle);
    let files = unpacked(&path);
    assert_eq!(listed["files"].as_array().map(Vec::len), Some(files.len()));
    assert!(files["jobs.txt"].contains("the database is not open"));
    for (name, text) in &files {
        for secret in secrets(&server) {
            assert!(!text.contains(&secret), "{secret} is in {name}:\n{text}");
        }
    }
}
