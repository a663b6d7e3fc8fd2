//! Patterns of repositories and tags, which are Harbor's: `*` stands for anything but a slash, `**` for whole parts of a
//! path, `?` for one character, `{a,b}` for either. They are matched by `globset`, in a time that grows with the text
//! alone, however a pattern is made.

use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};

/// A pattern; an empty one matches everything.
#[derive(Clone, Debug)]
pub struct Pattern(Option<GlobMatcher>);

/// The text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has `*`, `**`, `?`, `[a-z]` and `{{a,b}}`, and closes what it opens")]
pub struct InvalidPattern;

impl Pattern {
    /// Whether it matches a whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|glob| glob.is_match(text))
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let mut builder = GlobBuilder::new(text);
        let builder = builder
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true);
        let glob = builder.build().map_err(|_| InvalidPattern)?;
        Ok(Self(Some(glob.compile_matcher())))
    }
}
