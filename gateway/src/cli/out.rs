//! All output of commands: lines for people, with control characters escaped, and JSON.
//!
//! If the reader closes the pipe (`gantry audit export | head`), further output is dropped, and the command continues
//! with its usual exit code. After any other failed write the exit code is 1.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use jobs::failures::causes;
use parking_lot::Mutex;
use serde::Serialize;

use crate::config::{ConfigError, Invalid};

/// The state of standard output.
enum State {
    Open,
    /// The reader closed it.
    Closed,
    Failed(io::Error),
}

static STATE: Mutex<State> = Mutex::new(State::Open);

/// Prints one line, escaped so that it stays one line and has no effect on a terminal.
pub(super) fn line(text: &str) {
    write(&format!("{}\n", escape(text)));
}

/// Prints several lines without user-supplied text, such as a certificate, as they are.
pub(super) fn block(text: &str) {
    write(&format!("{}\n", text.trim_end_matches('\n')));
}

/// Prints each value as a line of JSON.
///
/// # Errors
/// If a value cannot be written as JSON.
pub(super) fn json_lines<T: Serialize>(values: &[T]) -> serde_json::Result<()> {
    let mut text = String::new();
    for value in values {
        text += &escape_json(&serde_json::to_string(value)?);
        text.push('\n');
    }
    write(&text);
    Ok(())
}

/// True while output is read: a command that only prints can stop when it is false.
pub(super) fn is_open() -> bool {
    matches!(*STATE.lock(), State::Open)
}

/// Records the result of a write to standard output that was done elsewhere.
pub(super) fn wrote(result: io::Result<()>) {
    let Err(error) = result else { return };
    *STATE.lock() = match error.kind() {
        ErrorKind::BrokenPipe => State::Closed,
        _ => State::Failed(error),
    };
}

/// Why output was not fully written, unless the reader closed the pipe.
pub(super) fn finish() -> io::Result<()> {
    wrote(io::stdout().flush());
    match std::mem::replace(&mut *STATE.lock(), State::Open) {
        State::Open | State::Closed => Ok(()),
        State::Failed(error) => Err(error),
    }
}

/// Prints why a command failed, on standard error: one line, or one line per wrong setting.
pub(super) fn error(error: &anyhow::Error) {
    for reason in reasons(error) {
        // If standard error is gone as well, the exit code must do.
        let _ = writeln!(io::stderr(), "gantry: {}", escape(&reason));
    }
}

/// Prints how far a command is, on standard error.
pub(super) fn note(text: &str) {
    // If standard error is gone, nobody wants to know.
    let _ = writeln!(io::stderr(), "gantry: {}", escape(text));
}

fn reasons(error: &anyhow::Error) -> Vec<String> {
    if let Some(ConfigError::Unknown(lines)) = error.downcast_ref() {
        return lines.clone();
    }
    match error.downcast_ref::<Invalid>() {
        Some(invalid) => invalid.lines().to_vec(),
        None => vec![causes(error.as_ref())],
    }
}

fn write(text: &str) {
    if is_open() {
        wrote(io::stdout().write_all(text.as_bytes()));
    }
}

/// True for characters that a terminal may act on instead of showing: control characters, line and paragraph
/// separators, marks that change the text direction, and other invisible ones.
fn acts(c: char) -> bool {
    c.is_control() || model::is_unseen(c)
}

/// The text with such characters escaped, for output that is printed elsewhere.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    escape_with(text, |c, out| out.extend(c.escape_default()))
}

/// In JSON such characters occur only in strings, and have an escape of four digits.
fn escape_json(json: &str) -> Cow<'_, str> {
    escape_with(json, |c, out| {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

fn escape_with(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            escape(c, &mut escaped);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(escape("ann\u{1b}[2J\nx"), "ann\\u{1b}[2J\\nx");
        assert_eq!(
            escape("\u{9b}31m \u{202e}txt.exe"),
            "\\u{9b}31m \\u{202e}txt.exe"
        );
        assert_eq!(escape("Zoë 山田 \\ \"q\""), "Zoë 山田 \\ \"q\"");
    }

    #[test]
    fn each_key_that_is_unknown_has_a_line_of_its_own() {
        let unknown = ["a: unknown key b", "a: unknown key c"].map(str::to_owned);
        let error = ConfigError::Unknown(unknown.to_vec()).into();
        assert_eq!(reasons(&error), unknown);
    }

    #[test]
    fn each_setting_that_is_wrong_has_a_line_of_its_own() {
        let mut config = crate::config::Config::default();
        config.limits.idle_secs = 0;
        config.limits.header_secs = 0;
        let error = config.check(model::Timestamp(0)).unwrap_err().into();
        let reasons = reasons(&error);
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons.iter().all(|reason| escape(reason) == **reason));
    }

    proptest! {
        #[test]
        fn a_line_never_acts_on_a_terminal(text in any::<String>()) {
            prop_assert!(!escape(&text).contains(acts));
        }

        #[test]
        fn json_means_the_same_when_escaped(text in any::<String>()) {
            let json = serde_json::to_string(&[&text]).unwrap();
            let escaped = escape_json(&json).into_owned();
            prop_assert!(!escaped.contains(acts));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), vec![text]);
        }
    }
}
