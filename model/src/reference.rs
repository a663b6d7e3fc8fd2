//! References to a manifest in a repository: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::InvalidDigest;
use crate::tag::InvalidTag;
use crate::{Digest, RepositoryName, Tag};

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
    /// The tag, if it is one.
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

/// An artifact of a repository: `project/repository:tag` or `project/repository@digest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The repository.
    pub repository: RepositoryName,
    /// What names the artifact in it.
    pub reference: Reference,
}

/// The text is not the address of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name an artifact as PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let parse = || match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map(Reference::Digest).ok()?;
                Some((name.parse().ok()?, digest))
            }
            None => {
                let (name, tag) = text.rsplit_once(':')?;
                let tag = tag.parse().map(Reference::Tag).ok()?;
                Some((name.parse().ok()?, tag))
            }
        };
        let (repository, reference) = parse().ok_or(InvalidAddress)?;
        Ok(Self {
            repository,
            reference,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.reference {
            Reference::Tag(_) => ':',
            Reference::Digest(_) => '@',
        };
        write!(f, "{}{mark}{}", self.repository, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_names_repository_and_artifact() {
        let digest = format!("team/app@sha256:{}", "0a".repeat(32));
        for text in ["team/app:v1", "team/deep/app:latest", &digest] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "zzz",
            "team/app",
            "team/app:",
            "team/app@v1",
            ":v1",
            "team/app:-v",
        ] {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_of_addresses_panic(text in ".{0,80}") {
            let _ = text.parse::<Address>();
        }
    }
}
