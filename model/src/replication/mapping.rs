//! Where copies go: a repository's name at the destination.

use crate::RepositoryName;
use crate::name::InvalidName;

/// How names at the destination are made of those at the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// What stands in front; empty to keep names as they are.
    pub namespace: String,
    /// How many parts of the source's name it replaces; less than 0 for all but the last.
    pub replace_count: i64,
}

/// Why a name has no place at the destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// It has fewer parts than are to be replaced.
    #[error(
        "the repository {name} has {parts} path components before its last one, fewer than the {count} that dest_namespace is to replace"
    )]
    TooShort {
        /// The repository.
        name: String,
        /// Its parts before the last.
        parts: usize,
        /// How many are to be replaced.
        count: i64,
    },
    /// What comes of it is no name.
    #[error("{1:?} is no repository name at the destination, for {0}: {2}")]
    Name(String, String, InvalidName),
}

impl Mapping {
    /// The name at the destination, as text.
    ///
    /// # Errors
    /// [`InvalidMapping::TooShort`].
    pub fn text_of(&self, name: &str) -> Result<String, InvalidMapping> {
        let namespace = self.namespace.trim_matches('/');
        if namespace.is_empty() {
            return Ok(name.to_owned());
        }
        let parts: Vec<&str> = name.split('/').collect();
        let before_last = parts.len() - 1;
        let dropped = match usize::try_from(self.replace_count) {
            Err(_) => before_last,
            Ok(count) if count <= before_last => count,
            Ok(_) => {
                return Err(InvalidMapping::TooShort {
                    name: name.to_owned(),
                    parts: before_last,
                    count: self.replace_count,
                });
            }
        };
        Ok(format!("{namespace}/{}", parts[dropped..].join("/")))
    }

    /// The name at the destination, where that has projects.
    ///
    /// # Errors
    /// [`InvalidMapping`].
    pub fn name_of(&self, name: &str) -> Result<RepositoryName, InvalidMapping> {
        let text = self.text_of(name)?;
        text.parse()
            .map_err(|error| InvalidMapping::Name(name.to_owned(), text, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_flattened_as_in_harbor() {
        let map = |replace_count| {
            let namespace = "n".to_owned();
            let mapping = Mapping {
                namespace,
                replace_count,
            };
            mapping.text_of("a/b/c/image")
        };
        assert_eq!(map(-1).unwrap(), "n/image");
        assert_eq!(map(0).unwrap(), "n/a/b/c/image");
        assert_eq!(map(1).unwrap(), "n/b/c/image");
        assert_eq!(map(2).unwrap(), "n/c/image");
        assert_eq!(map(3).unwrap(), "n/image");
        assert!(map(4).is_err());
    }

    #[test]
    fn without_a_namespace_names_stay() {
        let mapping = Mapping::default();
        assert_eq!(mapping.name_of("a/b").unwrap().as_str(), "a/b");
        assert!(matches!(
            mapping.name_of("b"),
            Err(InvalidMapping::Name(..))
        ));
    }
}
