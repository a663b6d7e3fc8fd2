//! Hides what stands before an @: passwords in URLs, and the names of people in mail addresses.

use std::borrow::Cow;

/// The text without them. In a URL, scheme and host are kept.
pub(super) fn masked(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || c == '"');
    words.map(of_word).collect()
}

fn of_word(word: &str) -> Cow<'_, str> {
    let Some((before, after)) = word.rsplit_once('@') else {
        return Cow::Borrowed(word);
    };
    Cow::Owned(match before.split_once("://") {
        Some((scheme, _)) if !scheme.contains('@') => format!("{scheme}://***@{after}"),
        _ => format!("***@{after}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_and_a_person_are_hidden() {
        for (text, expected) in [
            (
                "url = \"postgres://gantry:a@b/c@db:5432/gantry?x=1\"\n",
                "url = \"postgres://***@db:5432/gantry?x=1\"\n",
            ),
            (
                "contact = [\"ann.lee@example.com\"]",
                "contact = [\"***@example.com\"]",
            ),
            (
                "no person here: https://db.example/x",
                "no person here: https://db.example/x",
            ),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_before_an_at_stays(before in "[a-z0-9:/.]{1,20}", after in "[a-z0-9.]{1,20}") {
            let expected = match before.split_once("://") {
                Some((scheme, _)) => format!("see {scheme}://***@{after} now"),
                None => format!("see ***@{after} now"),
            };
            prop_assert_eq!(masked(&format!("see {before}@{after} now")), expected);
        }

        #[test]
        fn any_text_can_be_masked_and_stays_so(text in any::<String>()) {
            let once = masked(&text);
            prop_assert_eq!(masked(&once), once);
        }
    }
}
