//! Hides what texts may have of passwords, tokens and people: of URLs all but scheme and host, what stands before an @,
//! and the users and roles that PostgreSQL names in its errors.

use std::borrow::Cow;

/// What stands in place of hidden text.
pub(super) const HIDDEN: &str = "***";

/// The text without them.
pub(super) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let (mut before, mut is_name) = ("", false);
    for word in text.split_inclusive(ends_word) {
        let (word, end) = word.split_at(word.trim_end_matches(ends_word).len());
        if is_name {
            shown.push_str(HIDDEN);
        } else {
            shown.push_str(&of_word(word));
        }
        shown.push_str(end);
        // As in: authentication failed for user "gantry".
        is_name = match is_name {
            true => end != "\"" && end != "\n",
            false => word.is_empty() && end == "\"" && matches!(before, "user" | "role"),
        };
        before = word;
    }
    shown
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || letter == '"'
}

fn of_word(word: &str) -> Cow<'_, str> {
    match word.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('@') => match place(rest) {
            Some(place) => format!("{scheme}://{place}").into(),
            None => format!("{scheme}://{HIDDEN}").into(),
        },
        _ => match word.rsplit_once('@') {
            Some((_, after)) => format!("{HIDDEN}@{after}").into(),
            None => word.into(),
        },
    }
}

/// Host and port of a URL without its scheme; `None` if it is unclear which part they are, as with an unescaped @ or /
/// in a password.
fn place(rest: &str) -> Option<String> {
    let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = match place.split_once('@') {
        Some((_, host)) => ("***@", host),
        None => ("", place),
    };
    let is_clear = !host.contains('@') && !path.contains('@') && is_host(host);
    let path = match path {
        "" | "/" => path,
        _ => "/***",
    };
    is_clear.then(|| format!("{user}{host}{path}"))
}

/// Whether a text is no user with a beginning of a password. Punctuation may follow it.
fn is_host(text: &str) -> bool {
    let text = text.trim_end_matches([':', '.', ',', ';', ')', '`', '\'']);
    let port = text.rsplit_once(':').map_or("", |(_, port)| port);
    text.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_and_a_person_are_hidden() {
        for (text, expected) in [
            (
                "url = \"postgres://gantry:a@db:5432/gantry?x=1\"\n",
                "url = \"postgres://***@db:5432/***\"\n",
            ),
            (
                "url = \"postgres://gantry:a@b/c@db:5432/gantry\"\n",
                "url = \"postgres://***\"\n",
            ),
            ("see https://u:pa ss@h/x", "see https://*** ***@h/x"),
            (
                "contact = [\"ann.lee@example.com\"]",
                "contact = [\"***@example.com\"]",
            ),
            (
                "https://otlp.example:4318/v1/TOKEN?key=KEY",
                "https://otlp.example:4318/***",
            ),
            (
                "https://[::1]:8443/v2/: refused",
                "https://[::1]:8443/*** refused",
            ),
            (
                "no person here: https://db.example, https://[::1]/",
                "no person here: https://db.example, https://[::1]/",
            ),
            (
                "password authentication failed for user \"ann lee\", role \"x\" and \"y\"",
                "password authentication failed for user \"*** ***\", role \"***\" and \"y\"",
            ),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_before_an_at_stays(before in "[a-z0-9/.]{1,20}", after in "[a-z0-9.]{1,20}") {
            let shown = masked(&format!("see {before}@{after} now"));
            prop_assert_eq!(shown, format!("see ***@{after} now"));
            let shown = masked(&format!("see https://{before}@{after} now"));
            let expected = match before.contains('/') {
                true => "see https://*** now".to_owned(),
                false => format!("see https://***@{after} now"),
            };
            prop_assert_eq!(shown, expected);
        }

        #[test]
        fn any_text_can_be_masked_and_stays_so(text in any::<String>()) {
            let once = masked(&text);
            prop_assert_eq!(masked(&once), once);
        }
    }
}
