//! All that repositories of a registry serve, pulled and hashed: a line per tag, manifest
//! and blob, the same lines for the same content.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use testkit::meter::wait;
use testkit::target::Target;

use super::holdings::Holdings;
use super::objects::different;

pub(super) struct Census {
    names: Vec<String>,
    lines: BTreeSet<String>,
}

impl Census {
    /// Pulls every tag's manifest and every blob that one of them names, and computes all digests anew. `project` is
    /// where names with one part are.
    pub(super) fn take(
        target: &Target,
        names: &[String],
        project: Option<&str>,
    ) -> Result<Self, String> {
        let lines = wait(async {
            let (held, lines) = (Holdings::of(target, project)?, Mutex::default());
            held.each(names, async |name| held.census(name, &lines).await)
                .await?;
            Ok::<_, String>(lines.into_inner().unwrap_or_else(PoisonError::into_inner))
        })?;
        Ok(Self {
            names: names.to_vec(),
            lines,
        })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn tags(&self) -> usize {
        self.count("tag ")
    }

    pub(super) fn manifests(&self) -> usize {
        self.count("manifest ")
    }

    /// Blobs, counted once in each repository.
    pub(super) fn links(&self) -> usize {
        self.count("blob ")
    }

    /// Digests of the blobs in some of the repositories.
    pub(super) fn blobs(&self, names: &[String]) -> BTreeSet<String> {
        let lines = self.of(names).lines;
        let digest = |line: &String| {
            let (_, rest) = line.strip_prefix("blob ")?.split_once('@')?;
            rest.split(' ').next().map(str::to_owned)
        };
        lines.iter().filter_map(digest).collect()
    }

    /// The part of it that is about some of the repositories.
    pub(super) fn of(&self, names: &[String]) -> Self {
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let about = |line: &&String| name_in(line).is_some_and(|name| wanted.contains(name));
        Self {
            names: names.to_vec(),
            lines: self.lines.iter().filter(about).cloned().collect(),
        }
    }

    /// Fails where this is not what is expected of `whose`.
    pub(super) fn compare(&self, expected: &Self, whose: &str) -> Result<(), String> {
        different(whose, &self.lines, &expected.lines)
    }

    fn count(&self, kind: &str) -> usize {
        self.lines
            .iter()
            .filter(|line| line.starts_with(kind))
            .count()
    }
}

/// The repository that a line is about.
fn name_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    rest.split([':', '@']).next()
}

#[cfg(test)]
mod tests {
    use super::Census;

    fn census(lines: &[&str]) -> Census {
        Census {
            names: vec!["a/b".to_owned(), "c".to_owned()],
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn a_part_is_that_of_its_repositories() {
        let all = census(&[
            "tag a/b:v1 sha256:1",
            "tag c:v1 sha256:1",
            "blob a/b@sha256:2 5",
            "blob c@sha256:3 5",
        ]);
        let part = all.of(&["c".to_owned()]);
        assert_eq!((part.tags(), part.links(), all.links()), (1, 1, 2));
        assert!(all.blobs(&["a/b".to_owned()]).contains("sha256:2"));
    }

    #[test]
    fn one_line_makes_a_difference() {
        let one = census(&["tag c:v1 sha256:1"]);
        assert!(one.compare(&census(&["tag c:v1 sha256:1"]), "it").is_ok());
        let error = one
            .compare(&census(&["tag c:v1 sha256:2"]), "it")
            .unwrap_err();
        assert!(
            error.contains("sha256:1") && error.contains("sha256:2"),
            "{error}"
        );
        assert!(census(&[]).compare(&one, "it").is_err());
    }
}
