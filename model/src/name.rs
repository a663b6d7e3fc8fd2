//! Names of projects and repositories.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A project name: 1 to 255 characters, lower-case letters and digits with single `.`, `_` or `-` between them, as
/// defined by Harbor's API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectName(Arc<str>);

/// A repository name: a project name and at least one more component, at most 255 characters, as defined in the
/// distribution specification's "Pulling manifests" section.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

/// Why the text is not a project or repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty, or more than 255 characters.
    #[error("a name has 1 to 255 characters")]
    Length,
    /// Characters or separators that are not allowed.
    #[error(
        "a name is made of lower-case letters and digits, separated by '.', '_', '__' or '-', components by '/'"
    )]
    Characters,
    /// A repository without a project in front.
    #[error("a repository name starts with its project: PROJECT/REPOSITORY")]
    NoProject,
}

const MAX_LENGTH: usize = 255;

impl ProjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(InvalidName::Length);
        }
        if !component(text.as_bytes(), |separator| {
            matches!(separator, [b'.' | b'_' | b'-'])
        }) {
            return Err(InvalidName::Characters);
        }
        Ok(Self(text.into()))
    }
}

impl RepositoryName {
    /// The whole name, project included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `/`.
    pub fn project_str(&self) -> &str {
        self.0
            .split_once('/')
            .map_or(&*self.0, |(project, _)| project)
    }

    /// The project that the repository belongs to.
    pub fn project(&self) -> ProjectName {
        ProjectName(self.project_str().into())
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(InvalidName::Length);
        }
        let separator =
            |s: &[u8]| matches!(s, [b'.'] | [b'_'] | [b'_', b'_']) || s.iter().all(|b| *b == b'-');
        let Some((project, path)) = text.split_once('/') else {
            let is_sound = component(text.as_bytes(), separator);
            let error = if is_sound {
                InvalidName::NoProject
            } else {
                InvalidName::Characters
            };
            return Err(error);
        };
        project.parse::<ProjectName>()?;
        if !path
            .split('/')
            .all(|part| component(part.as_bytes(), separator))
        {
            return Err(InvalidName::Characters);
        }
        Ok(Self(text.into()))
    }
}

/// Alphanumeric runs with allowed separators between them, none at either end.
fn component(text: &[u8], separator: impl Fn(&[u8]) -> bool) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.first().is_some_and(word) && text.last().is_some_and(word);
    ends && text
        .split(word)
        .filter(|between| !between.is_empty())
        .count()
        == text
            .chunk_by(|a, b| word(a) == word(b))
            .filter(|run| !run.first().is_some_and(word) && separator(run))
            .count()
}

macro_rules! prints {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
prints!(ProjectName RepositoryName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_valid_repository_prints_back_unchanged(
            text in "[a-z0-9]{1,9}([._-][a-z0-9]{1,9}){0,2}(/[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}){1,3}"
        ) {
            prop_assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,300}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<ProjectName>();
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for text in [
            "", "a", "A/b", "a/B", "a//b", "/a/b", "a/b/", "a/-b", "a/b-", "a/b..c", "a/b___c",
            "a/b._c", "a--b/c", "a/b c", "a/../b", "a/é", "a/b%2fc",
        ] {
            assert!(text.parse::<RepositoryName>().is_err(), "{text:?}");
        }
        assert!(
            format!("p/{}", "a".repeat(254))
                .parse::<RepositoryName>()
                .is_err()
        );
    }

    #[test]
    fn a_sound_name_without_a_project_is_told_apart() {
        let wrong = |text: &str| text.parse::<RepositoryName>().unwrap_err();
        assert_eq!(wrong("app"), InvalidName::NoProject);
        assert_eq!(wrong("APP"), InvalidName::Characters);
        assert_eq!(wrong("-app"), InvalidName::Characters);
    }

    #[test]
    fn the_project_is_the_first_component() {
        let name: RepositoryName = "team/app/web".parse().unwrap();
        assert_eq!(name.project().as_str(), "team");
    }
}
