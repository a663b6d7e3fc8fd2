//! References to a manifest in a repository: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::InvalidDigest;
use crate::tag::InvalidTag;
use crate::{Digest, Tag};

/// A tag or a digest, as in a path after `/manifests/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// The text is neither a tag nor a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It has a colon, so it was meant as a digest.
    #[error(transparent)]
    Digest(InvalidDigest),
    /// It has none, so it was meant as a tag.
    #[error(transparent)]
    Tag(InvalidTag),
}

impl Reference {
    /// The tag, where it is one.
    pub const fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') {
            text.parse()
                .map(Self::Digest)
                .map_err(InvalidReference::Digest)
        } else {
            text.parse().map(Self::Tag).map_err(InvalidReference::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
