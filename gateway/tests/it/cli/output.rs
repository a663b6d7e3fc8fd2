//! What commands print, where it goes, and how they end.

use std::fs::OpenOptions;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::SERVER;
use crate::harness::{ADMIN_PASSWORD, Server, eventually, image};

/// Commands that print something, and need nothing but a server that has served.
const PRINTING: &[&[&str]] = &[
    &["version"],
    &["--help"],
    &["config", "show"],
    &["config", "check"],
    &["user", "list"],
    &["project", "list"],
    &["member", "list", "library"],
    &["project", "quota", "library"],
    &["project", "untagged", "library"],
    &["repository", "list", "library"],
    &["audit", "list"],
    &["audit", "list", "--json"],
    &["audit", "export"],
    &["audit", "verify"],
    &["cert", "ca"],
    &["cert", "show"],
    &["db", "status"],
    &["gc", "status"],
    &["storage", "check"],
    &["storage", "usage"],
];

/// Runs a command with this as its standard output.
async fn run_into(server: &Server, arguments: &[&str], out: impl Into<Stdio>) -> Output {
    let mut command = server.command(arguments);
    command.stdout(out).stderr(Stdio::piped());
    let run = tokio::process::Command::from(command).spawn();
    let run = run.expect("gantry can be run").wait_with_output();
    run.await.expect("gantry can be waited for")
}

#[tokio::test]
async fn a_reader_that_has_had_enough_ends_the_output_quietly() {
    let server = SERVER.get().await;
    for arguments in PRINTING {
        let expected = server.cli(arguments).await.status;
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let ended = run_into(&server, arguments, writer).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(said, "", "{arguments:?}");
        assert_eq!(ended.status, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure_with_its_reason() {
    let server = SERVER.get().await;
    // So that every list has something to print.
    let admin = server.admin();
    admin
        .push_image("library/listed", "v1", &image("listed"))
        .await;
    for arguments in PRINTING {
        let full = OpenOptions::new().write(true).open("/dev/full");
        let ended = run_into(&server, arguments, full.expect("there is /dev/full")).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("cannot write to standard output") && said.contains("No space left"),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_closed_standard_error_hides_no_exit_code() {
    let server = SERVER.get().await;
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut command = server.command(&["user", "passwd", "nobody-of-this-name"]);
    command.stderr(writer);
    let ended = command.status().expect("gantry can be run");
    assert_eq!(ended.code(), Some(1));
}

#[tokio::test]
async fn commands_make_no_database_where_there_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().to_string_lossy();
    for command in [
        ["db", "status"],
        ["db", "migrate"],
        ["db", "forget-secrets"],
        ["user", "list"],
    ] {
        let arguments = [&command[..], &["--data", &data]].concat();
        let ended = Server::run(&arguments, &[]).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {said}");
        assert!(
            said.contains("there is no database") && said.contains("--data"),
            "{command:?}: {said}"
        );
    }
    let made = std::fs::read_dir(folder.path()).expect("it can be read");
    assert_eq!(made.count(), 0);
}

#[tokio::test]
async fn exit_codes_are_the_documented_ones() {
    let server = SERVER.get().await;
    let code = async |arguments: &[&str], expected: i32| {
        let ended = server.cli(arguments).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(expected), "{arguments:?}: {said}");
    };
    code(&["version"], 0).await;
    code(&["user", "--help"], 0).await;
    code(&["config", "check"], 0).await;
    code(&["audit", "list", "--from", "2026-01-31"], 0).await;

    code(&["user", "delete", "nobody-of-this-name"], 1).await;
    code(&["user", "delete", "admin"], 1).await;
    code(&["project", "delete", "none-of-this-name"], 1).await;
    code(&["member", "list", "none-of-this-name"], 1).await;
    code(&["audit", "verify", "--head", "/nowhere"], 1).await;
    code(&["restore", "/nowhere"], 1).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    code(&["storage", "why", &digest], 1).await;

    for wrong in [
        &["frobnicate"][..],
        &["user"],
        &["user", "create"],
        &["user", "list", "--frobnicate"],
        &["project", "create", "Not A Name"],
        &["member", "grant", "library", "ann", "emperor"],
        &["project", "quota", "library", "--limit", "5 GB"],
        &["project", "quota", "library", "--limit", "0"],
        &["project", "untagged", "library", "--delete-after", "soon"],
        &["repository", "delete", "library"],
        &["audit", "list", "--limit", "0"],
        &["audit", "list", "--from", "yesterday"],
        &["audit", "list", "--repository", "library"],
        &["storage", "why", "sha256:1"],
    ] {
        code(wrong, 2).await;
    }
}

#[tokio::test]
async fn what_a_terminal_would_act_on_is_escaped_everywhere() {
    let server = SERVER.get().await;
    let name = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    let login = "/service/token?service=harbor-registry";
    server
        .as_user_with(name, ADMIN_PASSWORD)
        .get(login)
        .await
        .expect(401);
    let listed = eventually(10, "the failed login is listed", async || {
        let listed = server.cli_prints(&["audit", "list"]).await;
        listed.contains("owned").then_some(listed)
    })
    .await;
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!listed.contains(acts), "{listed:?}");
    assert!(
        listed.contains("\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}"),
        "{listed}"
    );
    for arguments in [&["audit", "list", "--json"][..], &["audit", "export"]] {
        let json = server.cli_prints(arguments).await;
        assert!(!json.contains(acts), "{json:?}");
        let mut lines = json.lines().map(parse);
        assert!(
            lines.any(|entry| entry["principal_name"] == name),
            "JSON keeps what was there: {json}"
        );
    }
    let missing = server.cli(&["user", "delete", name]).await;
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(!said.contains(acts), "{said:?}");
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn json_is_json_and_nothing_else() {
    let server = SERVER.get().await;
    for arguments in [
        &["audit", "list", "--json"][..],
        &["audit", "export"],
        &["audit", "export", "--head"],
    ] {
        let text = eventually(10, "there is something to print", async || {
            let ended = server.cli(arguments).await;
            let text = String::from_utf8_lossy(&ended.stdout).into_owned();
            (ended.status.success() && !text.is_empty()).then_some(text)
        })
        .await;
        for line in text.lines() {
            assert!(parse(line).is_object(), "{arguments:?}: {line}");
        }
    }
}
