//! A rule in a form that selects: repositories by their names without the project, and artifacts by their tags.

use std::fmt;

use serde::Deserialize;

use super::template::Template;
use super::{InvalidRules, LONGEST, MOST_SELECTORS, RetentionRule};
use crate::immutable_rule::Selector;
use crate::pattern::Pattern;

/// A rule that selects.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    /// Its place among the rules of its policy, from 1.
    number: usize,
    disabled: bool,
    repositories: Vec<Side>,
    tags: Vec<Side>,
    /// By what it keeps artifacts of those that it selects.
    pub(super) template: Template,
}

/// Some of the rules of a policy, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(u16);

impl RuleSet {
    /// These and the rule at a place, from 0.
    #[must_use]
    pub const fn with(self, place: usize) -> Self {
        Self(self.0 | 1 << place)
    }

    /// Whether the rule at a place is one of them.
    pub const fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl CompiledRule {
    /// The rule at a place, from 0.
    pub(super) fn new(at: usize, rule: &RetentionRule) -> Result<Self, InvalidRules> {
        let named = format!("rules[{at}]");
        if !["", "retain"].contains(&rule.action.as_str()) {
            return Err(InvalidRules::field(format!("{named}.action"), "retain"));
        }
        let template = Template::new(&named, &rule.template, &rule.params)?;
        let scopes = format!("{named}.scope_selectors");
        if let Some(key) = rule.scope_selectors.keys().find(|key| *key != REPOSITORY) {
            let expected = "left out: repositories alone are selected, below repository";
            return Err(InvalidRules::field(format!("{scopes}.{key}"), expected));
        }
        let scopes = format!("{scopes}.{REPOSITORY}");
        let repositories = rule.scope_selectors.get(REPOSITORY);
        let repositories = repositories.filter(|selectors| !selectors.is_empty());
        let repositories = repositories.ok_or_else(|| {
            InvalidRules::field(scopes.clone(), "a list of at least one selector")
        })?;
        let tags = format!("{named}.tag_selectors");
        Ok(Self {
            number: at + 1,
            disabled: rule.disabled,
            repositories: sides(&scopes, ["repoMatches", "repoExcludes"], repositories)?,
            tags: sides(&tags, ["matches", "excludes"], &rule.tag_selectors)?,
            template,
        })
    }

    /// Whether it has an effect in a repository, which is named without its project.
    pub fn is_about(&self, repository: &str) -> bool {
        let selects = |side: &Side| side.pattern.matches(repository) != side.excludes;
        !self.disabled && self.repositories.iter().all(selects)
    }

    /// Whether it selects an artifact with these tags: each of its selectors does. One that excludes selects an artifact
    /// that has a tag which does not match.
    pub fn selects<T: AsRef<str>>(&self, tags: &[T]) -> bool {
        self.tags.iter().all(|side| {
            if tags.is_empty() {
                return side.untagged != side.excludes;
            }
            let selects = |tag: &T| side.pattern.matches(tag.as_ref()) != side.excludes;
            tags.iter().any(selects)
        })
    }
}

/// `rule 1 (latestPushedK 3)`.
impl fmt::Display for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} ({})", self.number, self.template)
    }
}

/// The key of the selectors of repositories.
const REPOSITORY: &str = "repository";

/// A selector.
#[derive(Clone, Debug)]
struct Side {
    pattern: Pattern,
    excludes: bool,
    /// Of one that matches: whether it selects what has no tag. Of one that excludes: whether it leaves such out.
    untagged: bool,
}

/// What clients say in `extras`.
#[derive(Deserialize)]
struct Extras {
    untagged: Option<bool>,
}

fn sides(
    field: &str,
    decorations: [&str; 2],
    selectors: &[Selector],
) -> Result<Vec<Side>, InvalidRules> {
    if selectors.len() > MOST_SELECTORS {
        let expected = format!("a list of at most {MOST_SELECTORS} selectors");
        return Err(InvalidRules::field(field, expected));
    }
    let selectors = selectors.iter().enumerate();
    selectors
        .map(|(at, selector)| side(&format!("{field}[{at}]"), decorations, selector))
        .collect()
}

fn side(
    field: &str,
    [matches, excludes]: [&str; 2],
    selector: &Selector,
) -> Result<Side, InvalidRules> {
    let invalid =
        |name: &str, expected: String| InvalidRules::field(format!("{field}.{name}"), expected);
    if !["", "doublestar"].contains(&selector.kind.as_str()) {
        return Err(invalid("kind", "doublestar".to_owned()));
    }
    let excluding = selector.decoration == excludes;
    if !excluding && selector.decoration != matches {
        return Err(invalid("decoration", format!("{matches} or {excludes}")));
    }
    let longest = format!("a text of at most {LONGEST} bytes");
    if selector.pattern.len() > LONGEST {
        return Err(invalid("pattern", longest));
    }
    if selector.extras.len() > LONGEST {
        return Err(invalid("extras", longest));
    }
    let pattern = selector.pattern.parse();
    let pattern =
        pattern.map_err(|why| invalid("pattern", format!("a doublestar pattern: {why}")))?;
    let untagged = match selector.extras.as_str() {
        "" => None,
        text => {
            let extras: Result<Extras, _> = serde_json::from_str(text);
            let expected = r#"JSON such as {"untagged":true}, or empty"#;
            extras
                .map_err(|_| invalid("extras", expected.to_owned()))?
                .untagged
        }
    };
    Ok(Side {
        pattern,
        excludes: excluding,
        untagged: untagged.unwrap_or(!excluding),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(tags: serde_json::Value, repositories: serde_json::Value) -> CompiledRule {
        let rule = json!({ "template": "always", "tag_selectors": tags, "scope_selectors": { "repository": repositories } });
        CompiledRule::new(0, &serde_json::from_value(rule).unwrap()).unwrap()
    }

    fn selector(decoration: &str, pattern: &str, extras: &str) -> serde_json::Value {
        json!({ "kind": "doublestar", "decoration": decoration, "pattern": pattern, "extras": extras })
    }

    #[test]
    fn tags_are_selected_as_in_harbor() {
        let (with, without) = (r#"{"untagged":true}"#, r#"{"untagged":false}"#);
        for (decoration, pattern, extras, tags, expected) in [
            ("matches", "v*", "", &["v1"][..], true),
            ("matches", "v*", "", &["latest"], false),
            // One tag that matches is enough.
            ("matches", "v*", "", &["latest", "v1"], true),
            ("matches", "**", with, &[], true),
            ("matches", "**", without, &[], false),
            // The pattern says nothing about what has no tag.
            ("matches", "v*", "", &[], true),
            ("matches", "{v1,v2}", without, &["v2"], true),
            ("matches", "", "", &["x"], true),
            ("excludes", "v*", "", &["v1"], false),
            ("excludes", "v*", "", &["latest"], true),
            // One that does not match is enough.
            ("excludes", "v*", "", &["latest", "v1"], true),
            ("excludes", "v*", "", &[], true),
            ("excludes", "v*", with, &[], false),
            ("excludes", "v*", without, &[], true),
            ("matches", "v1.?", "", &["v1.2"], true),
            ("matches", "v1.?", "", &["v1.22"], false),
        ] {
            let rule = compiled(
                json!([selector(decoration, pattern, extras)]),
                json!([selector("repoMatches", "**", "")]),
            );
            let case = format!("{decoration} {pattern} {extras} {tags:?}");
            assert_eq!(rule.selects(tags), expected, "{case}");
        }
    }

    #[test]
    fn all_selectors_of_a_list_must_select() {
        let tags = json!([
            selector("matches", "v*", ""),
            selector("excludes", "*-rc", "")
        ]);
        let repositories = json!([
            selector("repoMatches", "a/**", ""),
            selector("repoExcludes", "a/b", "")
        ]);
        let rule = compiled(tags, repositories);
        assert!(rule.selects(&["v1"]));
        assert!(!rule.selects(&["v1-rc"]));
        assert!(rule.is_about("a/c"));
        assert!(!rule.is_about("a/b"));
        assert!(!rule.is_about("c"));
    }

    #[test]
    fn repositories_are_named_without_their_project() {
        for (decoration, pattern, repository, expected) in [
            ("repoMatches", "**", "app", true),
            ("repoMatches", "**", "a/b/c/d/e", true),
            ("repoMatches", "*", "a/b", false),
            ("repoMatches", "{app,web}", "web", true),
            ("repoMatches", "team/app", "app", false),
            ("repoExcludes", "app", "app", false),
            ("repoExcludes", "app", "web", true),
        ] {
            let rule = compiled(json!([]), json!([selector(decoration, pattern, "")]));
            assert_eq!(
                rule.is_about(repository),
                expected,
                "{decoration} {pattern} {repository}"
            );
        }
    }

    #[test]
    fn a_rule_without_effect_is_about_nothing() {
        let rule = json!({ "template": "always", "disabled": true,
            "scope_selectors": { "repository": [selector("repoMatches", "**", "")] } });
        let rule = CompiledRule::new(0, &serde_json::from_value(rule).unwrap()).unwrap();
        assert!(!rule.is_about("app"));
    }

    #[test]
    fn a_rule_names_itself() {
        let rule = compiled(json!([]), json!([selector("repoMatches", "**", "")]));
        assert_eq!(rule.to_string(), "rule 1 (always)");
    }
}
