//! Tags.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A tag: 1 to 128 characters, as defined in the distribution specification under "Pulling manifests".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// The text is not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag has 1 to 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'"
)]
pub struct InvalidTag;

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let tail = |b: &u8| word(b) || matches!(b, b'.' | b'-');
        let (first, rest) = text.as_bytes().split_first().ok_or(InvalidTag)?;
        let valid = rest.len() < 128 && word(first) && rest.iter().all(tail);
        valid.then(|| Self(text.into())).ok_or(InvalidTag)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_valid_tag_prints_back_unchanged(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<Tag>();
        }
    }

    #[test]
    fn bad_tags_are_refused() {
        for text in ["", ".a", "-a", "a b", "a/b", "a:b", "é"] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
        assert!("a".repeat(129).parse::<Tag>().is_err());
    }
}
