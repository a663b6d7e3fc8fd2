//! Rules for immutable tags in a project: a tag that a rule covers cannot be moved or deleted.
//!
//! Patterns are those of [`crate::pattern`]. Tags of referrers (`sha256-….sig`) are covered only by patterns that name such: otherwise nobody could sign
//! what a rule for all tags covers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::accessory::referred_by;
use crate::pattern::Pattern;
use crate::{RepositoryName, Tag};

/// The content of a rule. Only the first selector of each list counts, as in Harbor; a rule without one covers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImmutableRule {
    /// `immutable`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// Which repositories it covers, below `repository`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scope_selectors: BTreeMap<String, Vec<Selector>>,
    /// Which tags it covers.
    pub tag_selectors: Option<Vec<Selector>>,
    /// `immutable_template`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
}

/// A pattern, and whether it selects what it matches or everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// `matches` or `excludes`; for repositories `repoMatches` or `repoExcludes`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decoration: String,
    /// Clients' own notes; without effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub extras: String,
    /// `doublestar`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The pattern; an empty one matches everything.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pattern: String,
}

/// Why a rule is not valid: the field, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: must be {expected}")]
pub struct InvalidRule {
    field: &'static str,
    expected: &'static str,
}

/// The key of the selectors of repositories.
const REPOSITORY: &str = "repository";
/// Maximum selectors in a list.
const MOST_SELECTORS: usize = 16;
/// Maximum bytes of a pattern or another text.
const LONGEST: usize = 512;

impl ImmutableRule {
    /// A rule for the tags that one pattern matches, in the repositories that another one matches.
    pub fn of_patterns(repositories: &str, tags: &str) -> Self {
        let selector = |decoration: &str, pattern: &str| Selector {
            kind: "doublestar".to_owned(),
            decoration: decoration.to_owned(),
            pattern: pattern.to_owned(),
            ..Selector::default()
        };
        let repositories = vec![selector("repoMatches", repositories)];
        Self {
            action: "immutable".to_owned(),
            scope_selectors: BTreeMap::from([(REPOSITORY.to_owned(), repositories)]),
            tag_selectors: Some(vec![selector("matches", tags)]),
            template: "immutable_template".to_owned(),
        }
    }

    /// The rule in a form that matches.
    ///
    /// # Errors
    /// Which field is not valid.
    pub fn compile(&self) -> Result<CompiledRule, InvalidRule> {
        one_of("action", &self.action, &["", "immutable"], "immutable")?;
        let templates = &["", "immutable_template"];
        one_of("template", &self.template, templates, "immutable_template")?;
        if self.scope_selectors.keys().any(|key| key != REPOSITORY) {
            return Err(InvalidRule {
                field: "scope_selectors",
                expected: "an object with the key repository",
            });
        }
        let repositories = self.scope_selectors.get(REPOSITORY);
        let repositories = repositories.map_or(&[][..], Vec::as_slice);
        let tags = self.tag_selectors.as_deref().unwrap_or_default();
        Ok(CompiledRule {
            repositories: Side::first(
                "scope_selectors",
                ["repoMatches", "repoExcludes"],
                repositories,
            )?,
            tags: Side::first("tag_selectors", ["matches", "excludes"], tags)?,
        })
    }
}

fn one_of(
    field: &'static str,
    text: &str,
    known: &[&str],
    expected: &'static str,
) -> Result<(), InvalidRule> {
    match known.contains(&text) {
        true => Ok(()),
        false => Err(InvalidRule { field, expected }),
    }
}

/// A rule that can be matched against tags.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    repositories: Option<Side>,
    tags: Option<Side>,
}

impl CompiledRule {
    /// Whether it covers a tag of a repository. The repository's name is compared without its project.
    pub fn covers(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        let (Some(repositories), Some(tags)) = (&self.repositories, &self.tags) else {
            return false;
        };
        let name = repository.as_str();
        let rest = name.split_once('/').map_or(name, |(_, rest)| rest);
        let is_meant = tags.names_referrers || referred_by(tag).is_none();
        is_meant && repositories.selects(rest) && tags.selects(tag.as_str())
    }
}

/// One of the two patterns of a rule.
#[derive(Clone, Debug)]
struct Side {
    pattern: Pattern,
    excludes: bool,
    /// Whether only tags of referrers match.
    names_referrers: bool,
}

impl Side {
    /// The first selector of a list. All of them must be valid.
    fn first(
        field: &'static str,
        [matches, excludes]: [&'static str; 2],
        selectors: &[Selector],
    ) -> Result<Option<Self>, InvalidRule> {
        let invalid = |expected| InvalidRule { field, expected };
        if selectors.len() > MOST_SELECTORS {
            return Err(invalid("a list of at most 16 selectors"));
        }
        let mut first = None;
        for selector in selectors {
            if !["", "doublestar"].contains(&selector.kind.as_str()) {
                return Err(invalid("of the kind doublestar"));
            }
            if ![matches, excludes].contains(&selector.decoration.as_str()) {
                return Err(invalid(if field == "tag_selectors" {
                    "of the decoration matches or excludes"
                } else {
                    "of the decoration repoMatches or repoExcludes"
                }));
            }
            if selector.pattern.len() > LONGEST || selector.extras.len() > LONGEST {
                return Err(invalid("of texts of at most 512 bytes"));
            }
            let side = Self {
                pattern: (selector.pattern.parse())
                    .map_err(|_| invalid("a valid doublestar pattern"))?,
                excludes: selector.decoration == excludes,
                names_referrers: selector.pattern.starts_with("sha256-")
                    && selector.decoration == matches,
            };
            first = first.or(Some(side));
        }
        Ok(first)
    }

    fn selects(&self, text: &str) -> bool {
        self.pattern.matches(text) != self.excludes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(rule: &ImmutableRule, repository: &str, tag: &str) -> bool {
        let rule = rule.compile().unwrap();
        rule.covers(&repository.parse().unwrap(), &tag.parse().unwrap())
    }

    #[test]
    fn patterns_mean_what_they_mean_in_harbor() {
        for (repositories, tags, repository, tag, expected) in [
            ("**", "v*", "p/app", "v1", true),
            ("**", "v*", "p/a/b/c/d/e", "v1", true),
            ("**", "v*", "p/app", "latest", false),
            ("*", "**", "p/app", "x", true),
            ("*", "**", "p/a/b", "x", false),
            ("a/*", "**", "p/a/b", "x", true),
            ("a/*", "**", "p/a/b/c", "x", false),
            ("a/**", "**", "p/a/b/c", "x", true),
            ("a/**", "**", "p/a", "x", false),
            ("**/c", "**", "p/a/b/c", "x", true),
            ("**/c", "**", "p/c", "x", true),
            ("a/**/e", "**", "p/a/b/c/d/e", "x", true),
            ("{a,b}", "{v1,v2}", "p/b", "v2", true),
            ("{a,b}", "{v1,v2}", "p/c", "v2", false),
            ("", "", "p/a/b", "x", true),
            ("**", "v?.[0-9]", "p/a", "v1.2", true),
            // The project is not part of the matched text.
            ("p/**", "**", "p/a", "x", false),
        ] {
            let rule = ImmutableRule::of_patterns(repositories, tags);
            let case = format!("{repositories} {tags} {repository}:{tag}");
            assert_eq!(covers(&rule, repository, tag), expected, "{case}");
        }
    }

    #[test]
    fn exclusion_selects_the_rest() {
        let mut rule = ImmutableRule::of_patterns("**", "latest");
        rule.tag_selectors.as_mut().unwrap()[0].decoration = "excludes".to_owned();
        assert!(covers(&rule, "p/a", "v1"));
        assert!(!covers(&rule, "p/a", "latest"));
    }

    #[test]
    fn signatures_are_covered_only_where_a_pattern_names_them() {
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        let all = ImmutableRule::of_patterns("**", "**");
        assert!(!covers(&all, "p/a", &signature));
        assert!(!covers(&all, "p/a", signature.trim_end_matches(".sig")));
        assert!(covers(&all, "p/a", "sha256-abc"));
        let signatures = ImmutableRule::of_patterns("**", "sha256-*");
        assert!(covers(&signatures, "p/a", &signature));
    }

    #[test]
    fn a_rule_without_selectors_covers_nothing() {
        assert!(!covers(&ImmutableRule::default(), "p/a", "v1"));
    }

    #[test]
    fn what_is_not_valid_is_named() {
        let mut rule = ImmutableRule::of_patterns("**", "[");
        assert_eq!(rule.compile().unwrap_err().field, "tag_selectors");
        rule = ImmutableRule::of_patterns(&"a".repeat(513), "**");
        assert_eq!(rule.compile().unwrap_err().field, "scope_selectors");
        rule = ImmutableRule::of_patterns("**", "**");
        rule.action = "retain".to_owned();
        assert_eq!(rule.compile().unwrap_err().field, "action");
    }

    proptest! {
        #[test]
        fn no_pattern_makes_the_parser_panic(pattern in ".{0,80}") {
            let _ = ImmutableRule::of_patterns(&pattern, &pattern).compile();
        }

        #[test]
        fn a_rule_prints_back_unchanged(repositories in "[a-z*/{},]{0,20}", tags in "[a-z*?]{0,20}") {
            let rule = ImmutableRule::of_patterns(&repositories, &tags);
            let text = serde_json::to_string(&rule).unwrap();
            prop_assert_eq!(serde_json::from_str::<ImmutableRule>(&text).unwrap(), rule);
        }
    }
}
