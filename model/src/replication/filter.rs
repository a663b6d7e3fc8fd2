//! Filters of policies: which repositories, tags and labels are copied. Patterns are Harbor's, matched by `globset` in a
//! time that grows with the text alone.

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Filters of a policy at most.
const MOST: usize = 16;
/// Bytes of a pattern or a label's name.
const LONGEST: usize = 512;
/// Labels of a filter at most.
const MOST_LABELS: usize = 100;
/// Projects that one alternative of a pattern names at most.
const MOST_NAMED: usize = 100;

/// A filter as clients give it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterText {
    /// `name`, `tag`, `label` or `resource`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A pattern; for labels their names.
    pub value: Value,
    /// `matches` or `excludes`, for names, tags and labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoration: Option<String>,
}

/// Why filters are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// The type is unknown.
    #[error("invalid filter type")]
    Kind,
    /// The value is of another form.
    #[error("the value of {0} filter isn't {1}")]
    Value(&'static str, &'static str),
    /// The decoration is unknown, or the filter takes none.
    #[error(
        "invalid decoration of filter: must be matches or excludes, on names, tags and labels alone"
    )]
    Decoration,
    /// The pattern cannot be read.
    #[error("the pattern {0:?} of a filter is not valid")]
    Pattern(String),
    /// Everything is excluded.
    #[error(
        "filters: the {0} filter excludes everything, by an empty value or `**`: name what is left out, or leave out the filter"
    )]
    ExcludesAll(String),
    /// There are too many.
    #[error("filters: at most {MOST}, with patterns of at most {LONGEST} bytes")]
    TooMany,
}

/// Filters that match.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    names: Vec<(Glob, bool)>,
    tags: Vec<(Glob, bool)>,
    labels: Vec<(Vec<String>, bool)>,
}

impl Filters {
    /// The filters in a form that matches.
    ///
    /// # Errors
    /// What is not valid.
    pub fn compile(texts: &[FilterText]) -> Result<Self, InvalidFilter> {
        if texts.len() > MOST {
            return Err(InvalidFilter::TooMany);
        }
        let mut filters = Self::default();
        for text in texts {
            filters.add(text)?;
        }
        Ok(filters)
    }

    /// Refuses what leaves nothing to be copied, such as the empty field of a form: such a policy would succeed for ever.
    ///
    /// # Errors
    /// Which filter it is.
    pub fn check_excluded(texts: &[FilterText]) -> Result<(), InvalidFilter> {
        let is_all = |text: &&FilterText| {
            let is_empty = text.value.as_array().is_some_and(Vec::is_empty);
            let is_any = text
                .value
                .as_str()
                .is_some_and(|it| ["", "**"].contains(&it));
            text.decoration.as_deref() == Some("excludes") && (is_empty || is_any)
        };
        match texts.iter().find(is_all) {
            Some(text) => Err(InvalidFilter::ExcludesAll(text.kind.clone())),
            None => Ok(()),
        }
    }

    fn add(&mut self, text: &FilterText) -> Result<(), InvalidFilter> {
        let excludes = match text.decoration.as_deref() {
            None | Some("" | "matches") => false,
            Some("excludes") if ["name", "tag", "label"].contains(&text.kind.as_str()) => true,
            Some(_) => return Err(InvalidFilter::Decoration),
        };
        match text.kind.as_str() {
            "name" => self.names.push((Glob::of("name", &text.value)?, excludes)),
            "tag" => self.tags.push((Glob::of("tag", &text.value)?, excludes)),
            "label" => self.labels.push((labels(&text.value)?, excludes)),
            // Registries tell images from other artifacts by nothing but their manifests, which all are copied alike.
            "resource" => match text.value.as_str() {
                Some("" | "image" | "artifact") => {}
                _ => return Err(InvalidFilter::Value("resource", "image or artifact")),
            },
            _ => return Err(InvalidFilter::Kind),
        }
        Ok(())
    }

    /// Whether a repository is copied, by its whole name.
    pub fn repository(&self, name: &str) -> bool {
        let passes = |(glob, excludes): &(Glob, bool)| glob.matches(name) != *excludes;
        self.names.iter().all(passes)
    }

    /// Whether a tag is copied; an artifact without a tag is matched as the empty text.
    pub fn tag(&self, tag: &str) -> bool {
        let passes = |(glob, excludes): &(Glob, bool)| glob.matches(tag) != *excludes;
        self.tags.iter().all(passes)
    }

    /// Whether an artifact with these labels is copied.
    pub fn labels(&self, has: &[String]) -> bool {
        let passes = |(wanted, excludes): &(Vec<String>, bool)| {
            wanted.iter().all(|label| has.contains(label)) != *excludes
        };
        self.labels.iter().all(passes)
    }

    /// Whether labels decide.
    pub fn has_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// The only repository that can match, where a pattern names one.
    pub fn only_repository(&self) -> Option<&str> {
        let literal = |glob: &&Glob| !glob.text.is_empty() && !glob.text.contains(SPECIAL);
        self.included().find(literal).map(|glob| glob.text.as_str())
    }

    /// The projects, or first parts of names, that alone can match; `None` where any can.
    pub fn only_projects(&self) -> Option<Vec<String>> {
        self.included().find_map(|glob| projects(&glob.text))
    }

    /// The patterns that names must match.
    fn included(&self) -> impl Iterator<Item = &Glob> {
        let names = self.names.iter().filter(|(_, excludes)| !excludes);
        names.map(|(glob, _)| glob)
    }
}

/// What is no literal in a pattern.
const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// The first part of a pattern, where it is literal or one list of literals.
fn projects(pattern: &str) -> Option<Vec<String>> {
    let (first, _) = pattern.split_once('/')?;
    if !first.contains(SPECIAL) {
        return Some(vec![first.to_owned()]);
    }
    let listed = first.strip_prefix('{')?.strip_suffix('}')?;
    let named: Vec<String> = listed.split(',').map(str::to_owned).collect();
    let is_plain = named.len() <= MOST_NAMED
        && named
            .iter()
            .all(|name| !name.is_empty() && !name.contains(SPECIAL));
    is_plain.then_some(named)
}

fn labels(value: &Value) -> Result<Vec<String>, InvalidFilter> {
    let invalid = InvalidFilter::Value("label", "a list of names");
    let Some(values) = value
        .as_array()
        .filter(|values| values.len() <= MOST_LABELS)
    else {
        return Err(invalid);
    };
    let text = |value: &Value| {
        let text = value.as_str().filter(|text| text.len() <= LONGEST)?;
        Some(text.to_owned())
    };
    let names: Option<Vec<String>> = values.iter().map(text).collect();
    names.ok_or(invalid)
}

/// A pattern; an empty one matches everything.
#[derive(Clone, Debug)]
struct Glob {
    text: String,
    matcher: Option<GlobMatcher>,
}

impl Glob {
    fn of(kind: &'static str, value: &Value) -> Result<Self, InvalidFilter> {
        let text = value
            .as_str()
            .ok_or(InvalidFilter::Value(kind, "a string"))?;
        if text.len() > LONGEST {
            return Err(InvalidFilter::TooMany);
        }
        // Harbor's `**` for everything matches the empty text too, which an artifact without a tag is.
        let matcher = match text {
            "" | "**" => None,
            text => {
                let mut builder = GlobBuilder::new(text);
                let builder = builder
                    .literal_separator(true)
                    .backslash_escape(true)
                    .empty_alternates(true);
                let glob = builder.build();
                let glob = glob.map_err(|_| InvalidFilter::Pattern(text.to_owned()))?;
                Some(glob.compile_matcher())
            }
        };
        let text = text.to_owned();
        Ok(Self { text, matcher })
    }

    fn matches(&self, text: &str) -> bool {
        self.matcher.as_ref().is_none_or(|glob| glob.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn filter(kind: &str, value: Value, decoration: Option<&str>) -> FilterText {
        FilterText {
            kind: kind.to_owned(),
            value,
            decoration: decoration.map(str::to_owned),
        }
    }

    fn compiled(kind: &str, value: Value, decoration: Option<&str>) -> Filters {
        Filters::compile(&[filter(kind, value, decoration)]).unwrap()
    }

    #[test]
    fn names_are_matched_as_in_harbor() {
        for (pattern, name, expected) in [
            ("library/**", "library/a/b", true),
            ("library/*", "library/a/b", false),
            ("{library,team}/*", "team/a", true),
            ("**", "a/b/c", true),
            ("", "a/b", true),
            ("library/app", "library/app", true),
            ("library/ap?", "library/app", true),
            ("library/[a-b]*", "library/cat", false),
        ] {
            let filters = compiled("name", json!(pattern), None);
            assert_eq!(filters.repository(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_excludes_lets_the_rest_through() {
        let filters = compiled("tag", json!("dev-*"), Some("excludes"));
        assert!(filters.tag("v1") && filters.tag("") && !filters.tag("dev-1"));
        let every = compiled("tag", json!("**"), None);
        assert!(every.tag("") && every.tag("x"));
        let some = compiled("tag", json!("v*"), Some("matches"));
        assert!(!some.tag(""));
        let names = [
            filter("name", json!("team/**"), None),
            filter("name", json!("team/{charts,tmp}/**"), Some("excludes")),
        ];
        let names = Filters::compile(&names).unwrap();
        assert!(names.repository("team/app") && names.repository("team/a/b"));
        assert!(!names.repository("team/charts/a") && !names.repository("other/app"));
        assert_eq!(names.only_projects(), Some(vec!["team".to_owned()]));
        let without = compiled("name", json!("team/app"), Some("excludes"));
        assert!(without.repository("team/web") && !without.repository("team/app"));
        assert_eq!(without.only_projects(), None);
        assert_eq!(without.only_repository(), None);
        let labels = compiled("label", json!(["prod", "signed"]), None);
        assert!(labels.labels(&["prod".into(), "signed".into(), "x".into()]));
        assert!(!labels.labels(&["prod".into()]));
        let without = compiled("label", json!(["prod"]), Some("excludes"));
        assert!(without.labels(&[]) && !without.labels(&["prod".into()]));
    }

    #[test]
    fn literal_beginnings_say_where_to_look() {
        let only = |pattern: &str| compiled("name", json!(pattern), None).only_projects();
        assert_eq!(only("library/**"), Some(vec!["library".to_owned()]));
        assert_eq!(only("{a,b}/x"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(only("l*/x"), None);
        assert_eq!(only("**"), None);
        let filters = compiled("name", json!("library/app"), None);
        assert_eq!(filters.only_repository(), Some("library/app"));
        assert_eq!(compiled("name", json!("a/*"), None).only_repository(), None);
    }

    #[test]
    fn who_excludes_everything_is_refused() {
        let check = |kind: &str, value: Value, decoration: Option<&str>| {
            Filters::check_excluded(&[
                filter("name", json!("team/**"), None),
                filter(kind, value, decoration),
            ])
        };
        for (kind, value) in [
            ("name", json!("")),
            ("name", json!("**")),
            ("tag", json!("")),
            ("tag", json!("**")),
            ("label", json!([])),
        ] {
            let refused = check(kind, value.clone(), Some("excludes"));
            assert_eq!(refused, Err(InvalidFilter::ExcludesAll(kind.to_owned())));
            assert_eq!(check(kind, value.clone(), None), Ok(()));
            assert_eq!(check(kind, value, Some("matches")), Ok(()));
        }
        assert_eq!(check("name", json!("*/tmp/**"), Some("excludes")), Ok(()));
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        for (kind, value, decoration) in [
            ("zzz", json!("x"), None),
            ("name", json!(["x"]), None),
            ("name", json!("x"), Some("zzz")),
            ("resource", json!("image"), Some("excludes")),
            ("tag", json!("x"), Some("zzz")),
            ("label", json!("x"), None),
            ("resource", json!("chart"), None),
            ("tag", json!("[a"), None),
        ] {
            let text = filter(kind, value, decoration);
            assert!(
                Filters::compile(std::slice::from_ref(&text)).is_err(),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_the_parser_panic(pattern in "\\PC{0,40}", name in "\\PC{0,40}") {
            if let Ok(filters) = Filters::compile(&[filter("name", json!(pattern), None)]) {
                let _ = (filters.repository(&name), filters.only_projects());
            }
        }
    }
}
