//! How far long commands are, and that only standard error says so.

use std::process::Stdio;

use super::terminal::at_a_terminal;
use crate::harness::{Server, image};

/// A check that takes as many seconds as there are blobs.
const SLOWLY: [&str; 4] = ["storage", "check", "--blobs-per-second", "1"];

/// A server with three blobs for each of these images.
async fn with_images(seeds: &[&str]) -> Server {
    let server = Server::start().await;
    let admin = server.admin();
    for seed in seeds {
        let pushed = image(seed);
        admin.push_image("library/progress", seed, &pushed).await;
    }
    server
}

#[tokio::test]
async fn a_terminal_is_shown_a_bar() {
    let server = with_images(&["bar"]).await;
    let mut script = at_a_terminal(&server, &SLOWLY)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is missing: apt-get install bsdutils");
    // The terminal ends with its keyboard.
    let keyboard = script.stdin.take();
    let ended = script.wait_with_output().await;
    let ended = ended.expect("script can be waited for");
    drop(keyboard);
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{shown}");
    let bar = shown.rfind(" of 3 blobs, ");
    let bar = bar.unwrap_or_else(|| panic!("there is no bar: {shown:?}"));
    assert!(shown.contains("] 1 of 3 blobs, "), "{shown:?}");
    let (_, after) = shown.split_at(bar);
    assert!(
        after.contains("\u{1b}[2K"),
        "the bar does not disappear: {shown:?}"
    );
    assert!(after.contains("no problems found"), "{shown:?}");
}

#[tokio::test]
async fn without_a_terminal_a_line_comes_now_and_then_and_the_output_is_the_same() {
    let server = with_images(&["one", "two", "three", "four"]).await;
    let fast = server.cli(&SLOWLY[..2]).await;
    assert_eq!(String::from_utf8_lossy(&fast.stderr), "");
    let slow = server.cli(&SLOWLY).await;
    let said = String::from_utf8_lossy(&slow.stderr);
    assert!(slow.status.success(), "{said}");
    assert_eq!(
        String::from_utf8_lossy(&slow.stdout),
        String::from_utf8_lossy(&fast.stdout)
    );
    let acts = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(acts), "{said:?}");
    let is_progress = |line: &str| {
        line.starts_with("gantry: ") && line.contains(" of 12 blobs, ") && line.ends_with(" left")
    };
    assert!(!said.is_empty() && said.lines().all(is_progress), "{said}");
}
