//! The one way out for what commands print: lines for people, in which control characters are escaped, and JSON.
//!
//! When the reader has had enough (`gantry audit export | head`), output ends and the command does not: what it prints
//! afterwards is dropped, and its exit code is what it would have been. After any other failed write the exit code is 1.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use parking_lot::Mutex;
use serde::Serialize;

use crate::config::Invalid;

/// What became of standard output.
enum State {
    Open,
    /// Nobody reads it any more.
    Closed,
    Failed(io::Error),
}

static STATE: Mutex<State> = Mutex::new(State::Open);

/// Prints one line. Whatever it holds, it stays one line and does nothing to a terminal.
pub(super) fn line(text: &str) {
    write(&format!("{}\n", escape(text)));
}

/// Prints several lines that hold nothing of a user's, such as a certificate, as they are.
pub(super) fn block(text: &str) {
    write(&format!("{}\n", text.trim_end_matches('\n')));
}

/// Prints each value as a line of JSON.
///
/// # Errors
/// When a value has no form in JSON.
pub(super) fn json_lines<T: Serialize>(values: &[T]) -> serde_json::Result<()> {
    let mut text = String::new();
    for value in values {
        text += &escape_json(&serde_json::to_string(value)?);
        text.push('\n');
    }
    write(&text);
    Ok(())
}

/// Whether what is printed goes anywhere: a command that only prints can end when it does not.
pub(super) fn is_open() -> bool {
    matches!(*STATE.lock(), State::Open)
}

/// Notes what became of a write to standard output that was not done here.
pub(super) fn wrote(result: io::Result<()>) {
    let Err(error) = result else { return };
    *STATE.lock() = match error.kind() {
        ErrorKind::BrokenPipe => State::Closed,
        _ => State::Failed(error),
    };
}

/// Why not all of the output was written, if a reader that went away is not the reason.
pub(super) fn finish() -> io::Result<()> {
    wrote(io::stdout().flush());
    match std::mem::replace(&mut *STATE.lock(), State::Open) {
        State::Open | State::Closed => Ok(()),
        State::Failed(error) => Err(error),
    }
}

/// Prints why a command failed, on standard error: one line, or one for each thing that is wrong with the settings.
pub(super) fn error(error: &anyhow::Error) {
    for reason in reasons(error) {
        // Where standard error is gone as well, the exit code has to do.
        let _ = writeln!(io::stderr(), "gantry: {}", escape(&reason));
    }
}

fn reasons(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Invalid>() {
        Some(invalid) => invalid.lines().to_vec(),
        None => vec![format!("{error:#}")],
    }
}

fn write(text: &str) {
    if is_open() {
        wrote(io::stdout().write_all(text.as_bytes()));
    }
}

/// Whether a terminal may do something else with a character than show it where it stands: control characters, line
/// and paragraph separators, and marks that change the direction of the text.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with everything escaped that a terminal would act on, for what is not printed here.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    escape_with(text, |c, out| out.extend(c.escape_default()))
}

/// In JSON such characters stand in strings only, and have an escape of four digits.
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
