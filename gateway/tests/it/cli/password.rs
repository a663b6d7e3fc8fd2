//! Where the command line has passwords from.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::terminal::at_a_terminal;
use super::{LOGIN, SERVER, create_user};
use crate::harness::{Server, eventually, fresh};

const NEW: &str = "An0therPassword";

/// Runs `gantry user passwd NAME` at a terminal, types an answer whenever it asks, and gives what the terminal showed
/// and the exit code.
async fn typed(server: &Server, name: &str, answers: [&str; 2]) -> (String, Option<i32>) {
    let mut script = at_a_terminal(server, &["user", "passwd", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is missing: apt-get install bsdutils");
    let mut keyboard = script.stdin.take().expect("it is piped");
    let mut screen = script.stdout.take().expect("it is piped");
    let (mut shown, mut answers) = (String::new(), answers.into_iter());
    let mut bytes = [0; 1024];
    let mut asked = 0;
    while let Ok(count @ 1..) = screen.read(&mut bytes).await {
        shown += &String::from_utf8_lossy(&bytes[..count]);
        let questions = shown.matches("password for").count();
        if questions > asked {
            asked = questions;
            let terminal = shown.lines().next().expect("tty prints a line");
            is_silent(terminal).await;
            let answer = format!("{}\n", answers.next().expect("it asks twice at most"));
            let typed = keyboard.write_all(answer.as_bytes()).await;
            typed.expect("the terminal takes what is typed");
        }
    }
    let ended = script.wait().await.expect("script can be waited for");
    (shown, ended.code())
}

/// Waits until a terminal does not show what is typed.
async fn is_silent(terminal: &str) {
    eventually(10, "echo is off", async || {
        let asked = tokio::process::Command::new("stty")
            .args(["-a", "-F", terminal])
            .output();
        let settings = asked
            .await
            .expect("stty is missing: apt-get install coreutils");
        let settings = String::from_utf8_lossy(&settings.stdout).into_owned();
        settings
            .split_whitespace()
            .any(|word| word == "-echo")
            .then_some(())
    })
    .await;
}

/// Whether this is the user's password.
async fn opens(server: &Server, name: &str, password: &str) {
    eventually(2, "the password opens the account", async || {
        let answer = server.as_user_with(name, password).get(LOGIN).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_terminal_is_asked_twice_and_shows_nothing() {
    let server = SERVER.get().await;
    let name = fresh("typed");
    create_user(&server, &name, &[]).await;
    let (shown, code) = typed(&server, &name, [NEW, NEW]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(shown.matches("password for").count(), 2, "{shown}");
    assert!(
        !shown.contains(NEW),
        "the password is on the screen: {shown}"
    );
    opens(&server, &name, NEW).await;
}

#[tokio::test]
async fn two_different_answers_change_nothing() {
    let server = SERVER.get().await;
    let name = fresh("slip");
    create_user(&server, &name, &[]).await;
    let (shown, code) = typed(&server, &name, [NEW, "An0therPasswort"]).await;
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("differ"), "{shown}");
    opens(&server, &name, crate::harness::PASSWORD).await;
}

#[tokio::test]
async fn without_a_terminal_it_is_the_first_line() {
    let server = SERVER.get().await;
    let name = fresh("piped");
    create_user(&server, &name, &[]).await;
    let mut command = server.command(&["user", "passwd", &name]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = tokio::process::Command::from(command)
        .spawn()
        .expect("gantry can be run");
    let mut input = running.stdin.take().expect("it is piped");
    let line = format!("{NEW}\r\n");
    input
        .write_all(line.as_bytes())
        .await
        .expect("it reads a line");
    drop(input);
    let ended = running.wait_with_output().await.expect("it ends");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains("New password"), "nobody is asked: {said}");
    opens(&server, &name, NEW).await;
}
