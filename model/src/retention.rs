//! Retention of a project's artifacts: rules say which are kept, and all others of the repositories that a rule is about
//! go. What rules say on the wire stands here, in Harbor's form; how they select and keep is in [`rule`] and [`keep`].

pub mod keep;
pub mod rule;
pub mod template;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RetentionId;
use crate::immutable_rule::Selector;

pub use self::keep::{Candidate, kept};
pub use self::rule::{CompiledRule, RuleSet};
pub use self::template::Template;

/// How long after its last push nothing goes, where the policy does not say otherwise.
pub const GRACE: Duration = Duration::from_secs(24 * 3_600);
/// Rules that a policy has at most.
pub const MOST_RULES: usize = 15;
/// Selectors of a list.
const MOST_SELECTORS: usize = 16;
/// Bytes of a pattern or another text.
const LONGEST: usize = 512;

/// The kind of the jobs that run policies.
pub const JOB: &str = "retention";
/// The form of what these jobs are given.
pub const JOB_VERSION: i64 = 1;

/// What a job that runs a policy is given. Whether it deletes anything, its execution says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionJob {
    /// The policy.
    pub policy: RetentionId,
}

/// What is said of an execution of a policy besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionRun {
    /// Whether nothing is deleted, and only said what would be.
    pub dry_run: bool,
}

/// What is said of a task of an execution besides: one repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionCounts {
    /// Artifacts that were looked at.
    pub total: i64,
    /// Those that stay.
    pub retained: i64,
    /// Those that were deleted.
    pub deleted: i64,
}

/// A rule: which artifacts are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionRule {
    /// What its maker calls it; it has no effect.
    #[serde(skip_serializing_if = "is_zero")]
    pub id: i64,
    /// Noted by its maker; it has no effect.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// Whether it has no effect.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// `retain`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// By what it keeps artifacts, see [`Template`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// The template's number, by the template's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// Which artifacts it selects, by their tags.
    pub tag_selectors: Vec<Selector>,
    /// Which repositories it is about, below `repository`.
    pub scope_selectors: BTreeMap<String, Vec<Selector>>,
}

/// What a policy says of artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionTerms {
    /// Its rules.
    pub rules: Vec<RetentionRule>,
    /// Seconds after its last push in which no artifact goes; `None` for [`GRACE`].
    pub grace_secs: Option<u32>,
}

impl RetentionTerms {
    /// How long after its last push nothing goes.
    pub fn grace(&self) -> Duration {
        let own = self.grace_secs.map(u64::from);
        own.map_or(GRACE, Duration::from_secs)
    }

    /// As it is stored: the rules alone where the policy says no more.
    pub fn to_text(&self) -> String {
        // Texts, numbers and JSON are always JSON.
        match self.grace_secs {
            None => serde_json::to_string(&self.rules).unwrap_or_default(),
            Some(_) => serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

impl FromStr for RetentionTerms {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        if !text.starts_with('[') {
            return serde_json::from_str(text);
        }
        Ok(Self {
            rules: serde_json::from_str(text)?,
            grace_secs: None,
        })
    }
}

const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Why rules are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// A field is wrong: which one, and what it must be.
    #[error("{field}: must be {expected}")]
    Field {
        /// The field, such as `rules[0].template`.
        field: String,
        /// What it must be.
        expected: String,
    },
    /// Two rules say the same.
    #[error("rules[{0}]: says the same as rules[{1}]: leave one of them out")]
    Same(usize, usize),
}

impl InvalidRules {
    pub(crate) fn field(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            expected: expected.into(),
        }
    }
}

/// The rules of a policy in a form that selects, those without effect included.
///
/// # Errors
/// Which field is not valid, or which rules say the same.
pub fn compile(rules: &[RetentionRule]) -> Result<Vec<CompiledRule>, InvalidRules> {
    if rules.len() > MOST_RULES {
        let expected = format!("a list of at most {MOST_RULES} rules");
        return Err(InvalidRules::field("rules", expected));
    }
    for (at, rule) in rules.iter().enumerate() {
        let is_same = |other: &RetentionRule| {
            let unnamed = |rule: &RetentionRule| RetentionRule {
                id: 0,
                ..rule.clone()
            };
            unnamed(other) == unnamed(rule)
        };
        if let Some(other) = rules[..at].iter().position(is_same) {
            return Err(InvalidRules::Same(at, other));
        }
    }
    let compiled = rules.iter().enumerate();
    compiled
        .map(|(at, rule)| CompiledRule::new(at, rule))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rule(value: Value) -> RetentionRule {
        serde_json::from_value(value).unwrap()
    }

    fn valid() -> Value {
        json!({
            "action": "retain", "template": "latestPushedK", "params": { "latestPushedK": 3 },
            "tag_selectors": [{ "kind": "doublestar", "decoration": "matches", "pattern": "**" }],
            "scope_selectors": { "repository": [{ "kind": "doublestar", "decoration": "repoMatches", "pattern": "**" }] },
        })
    }

    #[test]
    fn what_is_wrong_is_named() {
        let repositories = "scope_selectors";
        for (pointer, value, field) in [
            ("/action", json!("immutable"), "rules[0].action"),
            ("/template", json!("zzz"), "rules[0].template"),
            ("/params", json!({}), "rules[0].params.latestPushedK"),
            (
                "/params/latestPushedK",
                json!("3"),
                "rules[0].params.latestPushedK",
            ),
            (
                "/params/latestPushedK",
                json!(-1),
                "rules[0].params.latestPushedK",
            ),
            (
                "/params/latestPushedK",
                json!(32_767),
                "rules[0].params.latestPushedK",
            ),
            (
                "/params",
                json!({ "latestPushedK": 1, "x": 2 }),
                "rules[0].params.x",
            ),
            (
                "/tag_selectors/0/kind",
                json!("regex"),
                "rules[0].tag_selectors[0].kind",
            ),
            (
                "/tag_selectors/0/decoration",
                json!("repoMatches"),
                "rules[0].tag_selectors[0].decoration",
            ),
            (
                "/tag_selectors/0/pattern",
                json!("["),
                "rules[0].tag_selectors[0].pattern",
            ),
            (
                "/tag_selectors/0/pattern",
                json!("a".repeat(513)),
                "rules[0].tag_selectors[0].pattern",
            ),
            (
                "/tag_selectors/0/extras",
                json!("untagged"),
                "rules[0].tag_selectors[0].extras",
            ),
            (
                "/scope_selectors",
                json!({}),
                "rules[0].scope_selectors.repository",
            ),
            (
                "/scope_selectors/repository/0/decoration",
                json!("matches"),
                "rules[0].scope_selectors.repository[0].decoration",
            ),
        ] {
            let mut one = valid();
            let place = one.pointer_mut(pointer);
            match place {
                Some(place) => *place = value,
                None => one["tag_selectors"][0]["extras"] = value,
            }
            let error = compile(&[rule(one)]).unwrap_err();
            let InvalidRules::Field { field: named, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(named, field, "{pointer}");
        }
        let mut other = valid();
        other[repositories]["project"] = json!([]);
        let error = compile(&[rule(other)]).unwrap_err().to_string();
        assert!(
            error.starts_with("rules[0].scope_selectors.project: "),
            "{error}"
        );
    }

    #[test]
    fn no_policy_has_more_rules_than_it_may_or_one_twice() {
        let numbered = |count: i64| {
            let mut one = valid();
            one["params"]["latestPushedK"] = json!(count);
            rule(one)
        };
        let rules: Vec<RetentionRule> = (0..16).map(numbered).collect();
        assert_eq!(compile(&rules[..15]).unwrap().len(), 15);
        assert!(
            compile(&rules)
                .unwrap_err()
                .to_string()
                .starts_with("rules: ")
        );
        let twice = [
            numbered(1),
            numbered(2),
            RetentionRule {
                id: 7,
                ..numbered(1)
            },
        ];
        assert_eq!(compile(&twice).unwrap_err(), InvalidRules::Same(2, 0));
    }

    #[test]
    fn a_policy_without_a_grace_of_its_own_has_that_of_a_day() {
        let terms: RetentionTerms = "[]".parse().unwrap();
        assert_eq!(terms.grace(), Duration::from_secs(86_400));
        assert_eq!(terms.to_text(), "[]");
        let none = RetentionTerms {
            grace_secs: Some(0),
            ..terms
        };
        assert_eq!(none.grace(), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn what_a_policy_says_is_read_as_it_was_stored(grace_secs: Option<u32>, rules in 0..3_usize) {
            let terms = RetentionTerms { rules: vec![rule(valid()); rules], grace_secs };
            prop_assert_eq!(terms.to_text().parse::<RetentionTerms>().unwrap(), terms);
        }

        #[test]
        fn no_text_makes_reading_a_policy_panic(text in ".{0,20}") {
            let _ = text.parse::<RetentionTerms>();
        }

        #[test]
        fn no_rule_makes_the_parser_panic(template in ".{0,12}", pattern in ".{0,20}", extras in ".{0,20}") {
            let mut one = valid();
            one["template"] = json!(template);
            one["tag_selectors"][0]["pattern"] = json!(pattern);
            one["tag_selectors"][0]["extras"] = json!(extras);
            let _ = compile(&[rule(one)]);
        }

        #[test]
        fn a_rule_prints_back_unchanged(count in 0..32_766_i64, pattern in "[a-z*?]{0,9}", disabled: bool) {
            let mut one = valid();
            one["params"]["latestPushedK"] = json!(count);
            one["tag_selectors"][0]["pattern"] = json!(pattern);
            one["disabled"] = json!(disabled);
            let read = rule(one);
            let text = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(serde_json::from_str::<RetentionRule>(&text).unwrap(), read);
        }
    }
}
