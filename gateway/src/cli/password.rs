//! Where a new password comes from.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use tenancy::password::NewPassword;

use super::out;

/// The environment variable for a password.
const VARIABLE: &str = "GANTRY_PASSWORD";
/// Maximum length of a password line, in bytes.
const LONGEST_LINE: u64 = 4096;

/// A new password for `user` that satisfies the rule: from `GANTRY_PASSWORD`, else typed twice without echo if standard
/// input is a terminal, else the first line of standard input.
pub(super) fn new_password(user: &str) -> anyhow::Result<NewPassword> {
    let password = match std::env::var_os(VARIABLE) {
        Some(text) => text
            .into_string()
            .map_err(|_| anyhow::anyhow!("{VARIABLE} is not UTF-8"))?,
        None if io::stdin().is_terminal() => typed(user)?,
        None => first_line(io::stdin().lock())?,
    };
    Ok(password.try_into()?)
}

fn typed(user: &str) -> anyhow::Result<String> {
    let user = out::escape(user);
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt).with_context(|| {
            format!("cannot ask for the password at the terminal: give it in {VARIABLE} or on standard input")
        })
    };
    let password = ask(format!("New password for {user}: "))?;
    // Checked before it is typed a second time.
    NewPassword::try_from(password.clone())?;
    let repeated = ask(format!("Repeat the password for {user}: "))?;
    anyhow::ensure!(
        password == repeated,
        "the two passwords differ: nothing was changed"
    );
    Ok(password)
}

/// A secret on a line of its own.
pub(super) fn first_line(input: impl io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = input.take(LONGEST_LINE).read_line(&mut line);
    read.context("cannot read the secret from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!password.is_empty(), "there is no line on standard input");
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        assert_eq!(first_line(&b"Passw0rd1\r\nmore"[..]).unwrap(), "Passw0rd1");
        assert_eq!(first_line(&b" with spaces "[..]).unwrap(), " with spaces ");
        assert!(first_line(&b"\n"[..]).is_err());
        assert!(first_line(&b""[..]).is_err());
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }
}
