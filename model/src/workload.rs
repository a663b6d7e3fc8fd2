//! What workload rules require of a token: issuer, audience, subject and further claims. What a rule permits is in
//! `policy`; signatures are checked in `auth`.
//!
//! A pattern is text in which `*` stands for anything but `/` and `:`, and `**` for anything at all; there are no other
//! special characters. A pattern that would admit strangers, such as `repo:*`, is not accepted for a subject.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Maximum bytes of an issuer.
const LONGEST_ISSUER: usize = 256;
/// Maximum bytes of an audience, a subject, a claim's name and a pattern.
pub const LONGEST_TEXT: usize = 512;
/// Audiences of a token that rules are looked up by.
const MOST_AUDIENCES: usize = 100;
/// Places of a pattern where text is left open.
const MOST_STARS: usize = 4;
/// Maximum further claims of a rule.
const MOST_CLAIMS: usize = 16;
/// Maximum characters of a rule's name.
const LONGEST_NAME: usize = 64;
/// Claims that have fields of their own, or are always checked.
const RESERVED: [&str; 6] = ["iss", "aud", "sub", "exp", "nbf", "iat"];
/// Prefixes of common issuers' subjects; the next part names the owner of the workload.
const HEADS: [&str; 11] = [
    "repo:",
    "repository:",
    "repository_id:",
    "repository_owner:",
    "repository_owner_id:",
    "job_workflow_ref:",
    "project_path:",
    "organization:",
    "org/",
    "system:serviceaccount:",
    "spiffe://",
];
/// Number of leading parts of a subject by which rules are looked up.
const KEY_PARTS: usize = 3;

/// Why a rule is not valid: the field, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidWorkloadRule {
    field: String,
    reason: &'static str,
}

impl InvalidWorkloadRule {
    /// A field, and what it must be.
    pub fn new(field: impl Into<String>, reason: &'static str) -> Self {
        let field = field.into();
        Self { field, reason }
    }
}

/// The name of a rule within its project: 1 to 64 visible characters, without spaces at the ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadRuleName(String);

impl FromStr for WorkloadRuleName {
    type Err = InvalidWorkloadRule;

    fn from_str(text: &str) -> Result<Self, InvalidWorkloadRule> {
        let length = text.chars().count();
        let valid = (1..=LONGEST_NAME).contains(&length)
            && text.trim() == text
            && !text
                .chars()
                .any(|letter| letter.is_control() || crate::is_unseen(letter));
        let reason = "must have 1 to 64 visible characters, and no space at its ends";
        match valid {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidWorkloadRule::new("name", reason)),
        }
    }
}

impl WorkloadRuleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkloadRuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The issuer of rules for client certificates: the authorities that the server trusts for clients.
pub const CLIENT_CERTIFICATE: &str = "client-certificate";

/// Who issues tokens: an `https` URL without query, as [OpenID Connect Discovery] requires. It is compared as text.
/// [`CLIENT_CERTIFICATE`] stands for the authorities of client certificates.
///
/// [OpenID Connect Discovery]: https://openid.net/specs/openid-connect-discovery-1_0.html#IssuerDiscovery
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl FromStr for Issuer {
    type Err = InvalidWorkloadRule;

    fn from_str(text: &str) -> Result<Self, InvalidWorkloadRule> {
        if text == CLIENT_CERTIFICATE {
            return Ok(Self(text.to_owned()));
        }
        let rest = text.strip_prefix("https://").unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte);
        if host.is_empty() || text.len() > LONGEST_ISSUER || !rest.bytes().all(plain) {
            let reason = "must be the issuer's https URL as its tokens name it, such as https://token.actions.githubusercontent.com, or client-certificate";
            return Err(InvalidWorkloadRule::new("issuer", reason));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Issuer {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if it stands for the authorities of client certificates.
    pub fn is_of_certificates(&self) -> bool {
        self.0 == CLIENT_CERTIFICATE
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern for a text: exact, or with `*` and `**`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimPattern(String);

impl FromStr for ClaimPattern {
    type Err = InvalidPattern;

    /// A pattern, which must not begin with a star.
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(InvalidPattern::Text);
        }
        if text.starts_with('*') {
            return Err(InvalidPattern::TooWide);
        }
        if segments(text).len() > MOST_STARS {
            return Err(InvalidPattern::Stars);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is not a valid pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It is empty, too long, or has control characters.
    #[error("{}", Self::Text.reason())]
    Text,
    /// It has too many stars.
    #[error("{}", Self::Stars.reason())]
    Stars,
    /// It would match values that anyone can have.
    #[error("{}", Self::TooWide.reason())]
    TooWide,
    /// It would match subjects of strangers.
    #[error("{}", Self::OfStrangers.reason())]
    OfStrangers,
    /// It would match all client certificates, or is no kind of name that these have.
    #[error("{}", Self::OfAnyCertificate.reason())]
    OfAnyCertificate,
}

impl InvalidPattern {
    /// What the text must be.
    const fn reason(self) -> &'static str {
        match self {
            Self::Text => "must have 1 to 512 bytes and no control characters",
            Self::Stars => "can have * in 4 places at most",
            Self::TooWide => {
                "matches too much: it must say how the text begins, such as refs/heads/*, and cannot begin with *"
            }
            Self::OfAnyCertificate => {
                "must be a name of client certificates, such as dns:node-1.example.com, dns:*.nodes.example.com, email:, ip:, cn: or spiffe://…, with more than stars in it"
            }
            Self::OfStrangers => {
                "matches too much: * may stand only after the part that says whose workload it is, as in repo:my-org/*, project_path:my-group/** or system:serviceaccount:my-namespace:*"
            }
        }
    }

    /// The error for a field of a rule.
    fn of(self, field: impl Into<String>) -> InvalidWorkloadRule {
        InvalidWorkloadRule::new(field, self.reason())
    }
}

impl TryFrom<String> for ClaimPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<ClaimPattern> for String {
    fn from(pattern: ClaimPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for ClaimPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClaimPattern {
    /// A pattern for subjects: the part that names the owner of the workload must come before the first `*`.
    ///
    /// # Errors
    /// [`InvalidPattern`].
    pub fn of_subject(text: &str) -> Result<Self, InvalidPattern> {
        let pattern: Self = text.parse()?;
        if pattern.is_exact() || names_owner(pattern.literal()) {
            return Ok(pattern);
        }
        Err(InvalidPattern::OfStrangers)
    }

    /// A pattern for subjects of client certificates: `dns:*.nodes.example`, `cn:builder-*`, `spiffe://…`. It must have
    /// more than a kind of name and stars.
    ///
    /// # Errors
    /// [`InvalidPattern`].
    pub fn of_certificate(text: &str) -> Result<Self, InvalidPattern> {
        let pattern: Self = text.parse()?;
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let names = rest
            .bytes()
            .any(|byte| byte != b'*' && byte != b'.' && !is_separator(byte));
        match !kind.contains('*') && names {
            true => Ok(pattern),
            false => Err(InvalidPattern::OfAnyCertificate),
        }
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if only one text matches.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// The common beginning of all matching texts.
    fn literal(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// Whether a text matches. What is longer than [`LONGEST_TEXT`] does not match a pattern with stars, so that it takes
    /// no longer whatever a stranger sends.
    pub fn matches(&self, text: &str) -> bool {
        if self.is_exact() {
            return self.0 == text;
        }
        if text.len() > LONGEST_TEXT || !text.starts_with(self.literal()) {
            return false;
        }
        let text = text.as_bytes();
        // Where in the text one can be after what was read of the pattern.
        let mut at = vec![false; text.len() + 1];
        at[self.literal().len()] = true;
        for (star, literal) in segments(&self.0) {
            at = after(text, &at, star, literal.as_bytes());
        }
        at[text.len()]
    }

    /// The key by which rules with this pattern are found: one of the [`subject_keys`] of each matching subject.
    pub fn key(&self) -> &str {
        match self.is_exact() {
            true => subject_keys(&self.0).last().unwrap_or_default(),
            false => parts(self.literal()).last().unwrap_or_default(),
        }
    }
}

/// What a pattern leaves open at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Star {
    /// Anything but separators.
    Part,
    /// Anything.
    All,
}

/// The stars of a pattern, each with the text after it.
fn segments(pattern: &str) -> Vec<(Star, &str)> {
    let mut segments = Vec::new();
    for literal in pattern.split('*').skip(1) {
        match segments.last_mut() {
            // Directly after another star.
            Some(last @ (_, "")) => *last = (Star::All, literal),
            _ => segments.push((Star::Part, literal)),
        }
    }
    segments
}

/// Where in a text one can be after a star and a literal, from where one could be before.
fn after(text: &[u8], before: &[bool], star: Star, literal: &[u8]) -> Vec<bool> {
    let mut reached = vec![false; text.len() + 1];
    let mut is_open = false;
    for (place, could_be) in before.iter().enumerate() {
        let closes = star == Star::Part && place > 0 && is_separator(text[place - 1]);
        is_open = *could_be || (is_open && !closes);
        if is_open && text[place..].starts_with(literal) {
            reached[place + literal.len()] = true;
        }
    }
    reached
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b':')
}

/// Whether the beginning of a pattern for subjects names the owner of the workloads.
fn names_owner(literal: &str) -> bool {
    let is_whole = |rest: &str| rest.bytes().position(is_separator).is_some_and(|at| at > 0);
    match HEADS.iter().find_map(|head| literal.strip_prefix(head)) {
        Some(rest) => is_whole(rest),
        // An incomplete prefix, such as `system:*`.
        None if HEADS.iter().any(|head| head.starts_with(literal)) => false,
        None => {
            let first = literal.bytes().position(is_separator);
            let rest = first.map(|at| &literal[at..]).unwrap_or_default();
            rest.bytes().any(|byte| !is_separator(byte))
        }
    }
}

/// The beginnings of a text that end with its first, second and third separator.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let ends = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| is_separator(*byte));
    ends.take(KEY_PARTS).map(|(at, _)| &text[..=at])
}

/// The keys by which the rules for a subject are found.
pub fn subject_keys(subject: &str) -> impl Iterator<Item = &str> {
    let whole = (parts(subject).count() < KEY_PARTS).then_some(subject);
    parts(subject).chain(whole)
}

/// What a rule requires of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadConditions {
    /// Who issued it.
    pub issuer: Issuer,
    /// Its audience.
    pub audience: String,
    /// Its subject.
    pub subject: ClaimPattern,
    /// Further claims: names, or JSON pointers into them, which begin with a slash (RFC 6901).
    pub claims: BTreeMap<String, ClaimPattern>,
}

impl WorkloadConditions {
    /// Conditions from given texts.
    ///
    /// # Errors
    /// Which field is not valid.
    pub fn parse(
        (issuer, audience, subject): (&str, &str, &str),
        claims: &BTreeMap<String, String>,
    ) -> Result<Self, InvalidWorkloadRule> {
        let issuer: Issuer = issuer.parse()?;
        if issuer.is_of_certificates() {
            if !audience.is_empty() {
                let reason = "must be empty: client certificates have none";
                return Err(InvalidWorkloadRule::new("audience", reason));
            }
        } else if audience.is_empty()
            || audience.len() > LONGEST_TEXT
            || audience.contains('*')
            || audience.chars().any(char::is_control)
        {
            let reason = "must be what the tokens are made for, in full: 1 to 512 bytes without *, such as the registry's address";
            return Err(InvalidWorkloadRule::new("audience", reason));
        }
        let subject = match issuer.is_of_certificates() {
            true => ClaimPattern::of_certificate(subject),
            false => ClaimPattern::of_subject(subject),
        };
        let subject = subject.map_err(|error| error.of("subject"))?;
        if claims.len() > MOST_CLAIMS {
            let reason = "must be at most 16";
            return Err(InvalidWorkloadRule::new("claims", reason));
        }
        let claims = claims.iter().map(|(name, pattern)| claim(name, pattern));
        Ok(Self {
            issuer,
            audience: audience.to_owned(),
            subject,
            claims: claims.collect::<Result<_, _>>()?,
        })
    }

    /// True if a token meets the further conditions, those that are not on its issuer, audience and subject.
    pub fn has_claims(&self, claims: &Map<String, Value>) -> bool {
        let mut wanted = self.claims.iter();
        wanted.all(|(name, pattern)| value(claims, name).is_some_and(|value| has(value, pattern)))
    }

    /// The conditions that a token's claims do not meet, as sentences for people who may read the rule; empty if all
    /// are met.
    pub fn unmet(&self, claims: &Map<String, Value>) -> Vec<String> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut unmet = Vec::new();
        if text("iss") != self.issuer.as_str() {
            let (is, wanted) = (text("iss"), &self.issuer);
            unmet.push(format!(
                "issuer: the token has {is:?}, the rule wants {wanted:?}",
                wanted = wanted.as_str()
            ));
        }
        if !audiences(claims).any(|audience| audience == self.audience) {
            let is: Vec<&str> = audiences(claims).take(5).collect();
            let wanted = &self.audience;
            unmet.push(format!(
                "audience: the token is for {is:?}, the rule wants {wanted:?}"
            ));
        }
        if !self.subject.matches(text("sub")) {
            let (is, wanted) = (text("sub"), self.subject.as_str());
            unmet.push(format!(
                "subject: the token has {is:?}, the rule wants {wanted:?}"
            ));
        }
        for (name, pattern) in &self.claims {
            let wanted = pattern.as_str();
            match value(claims, name) {
                None => unmet.push(format!(
                    "claim {name}: the token has none, the rule wants {wanted:?}"
                )),
                Some(value) if !has(value, pattern) => {
                    unmet.push(format!(
                        "claim {name}: the token has {value}, the rule wants {wanted:?}"
                    ));
                }
                Some(_) => {}
            }
        }
        unmet
    }
}

fn claim(name: &str, pattern: &str) -> Result<(String, ClaimPattern), InvalidWorkloadRule> {
    let field = || format!("claims.{name}");
    if name.is_empty() || name.len() > LONGEST_TEXT || name.chars().any(char::is_control) {
        let reason = "the name of a claim must have 1 to 512 bytes and no control characters";
        return Err(InvalidWorkloadRule::new("claims", reason));
    }
    let first = name.trim_start_matches('/').split('/').next();
    if first.is_some_and(|first| RESERVED.contains(&first)) {
        let reason = "is checked already: issuer, audience and subject have fields of their own, and times are always checked";
        return Err(InvalidWorkloadRule::new(field(), reason));
    }
    let pattern = pattern
        .parse()
        .map_err(|error: InvalidPattern| error.of(field()))?;
    Ok((name.to_owned(), pattern))
}

/// For whom a token is, as far as a rule may name it.
pub fn nameable_audiences(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let nameable = |text: &&str| text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control);
    audiences(claims).filter(nameable).take(MOST_AUDIENCES)
}

/// A token's audience: one or several (RFC 7519, section 4.1.3).
fn audiences(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let one = claims.get("aud").and_then(Value::as_str);
    let several = claims.get("aud").and_then(Value::as_array);
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

fn value<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (path, String::new()),
    };
    claims
        .get(&first.replace("~1", "/").replace("~0", "~"))?
        .pointer(&rest)
}

/// Whether a claim's value matches; in a list, whether any item does.
fn has(value: &Value, pattern: &ClaimPattern) -> bool {
    match value {
        Value::String(text) => pattern.matches(text),
        Value::Bool(_) | Value::Number(_) => pattern.matches(&value.to_string()),
        Value::Array(values) => {
            let mut values = values.iter();
            values.any(|value| value.as_str().is_some_and(|text| pattern.matches(text)))
        }
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        pattern.parse::<ClaimPattern>().unwrap().matches(text)
    }

    #[test]
    fn one_star_stays_within_a_part_and_two_do_not() {
        for (pattern, text, expected) in [
            (
                "repo:o/app:ref:refs/heads/main",
                "repo:o/app:ref:refs/heads/main",
                true,
            ),
            (
                "repo:o/app:ref:refs/heads/main",
                "repo:o/app:ref:refs/heads/main2",
                false,
            ),
            (
                "repo:o/*:ref:refs/heads/main",
                "repo:o/app:ref:refs/heads/main",
                true,
            ),
            (
                "repo:o/*:ref:refs/heads/main",
                "repo:o/app:environment:x:ref:refs/heads/main",
                false,
            ),
            (
                "repo:o/*:ref:refs/heads/main",
                "repo:o/a/b:ref:refs/heads/main",
                false,
            ),
            (
                "repo:o/app:ref:refs/heads/*",
                "repo:o/app:ref:refs/heads/a/b",
                false,
            ),
            (
                "repo:o/app:ref:refs/heads/**",
                "repo:o/app:ref:refs/heads/a/b",
                true,
            ),
            ("repo:o/app:**", "repo:o/app:pull_request", true),
            ("repo:o/app:**", "repo:o/app", false),
            ("repo:o/a*p:x", "repo:o/ap:x", true),
            ("repo:o/a*p:x", "repo:o/aXYp:x", true),
            ("repo:o/a*p*:x", "repo:o/a-pp:x", true),
            ("repo:o/app:*", "repo:O/app:x", false),
            ("a/***b", "a/c/d:eb", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_subject_names_its_owner_before_any_star() {
        for wide in [
            "*",
            "**",
            "*:x",
            "repo*",
            "repo:*",
            "repo:**",
            "repo:my-org*",
            "repo:*/app:ref:refs/heads/main",
            "project_path:*",
            "project_path:group*",
            "system:*",
            "system:serviceaccount:*",
            "system:serviceaccount:*:ci",
            "system:serviceaccount:team*:ci",
            "spiffe://*",
            "spiffe://exa*/ns",
            "job*",
            "job:*",
            "https://*",
            "organization:acme*",
            "organization:a*:**",
            "org/12*",
            "repository:my-org*",
            "repository_owner:my-org*",
            "repository_owner_id:12*",
            "job_workflow_ref:my-org*",
        ] {
            let error = ClaimPattern::of_subject(wide).expect_err(wide);
            assert!(
                error.to_string().contains("matches too much"),
                "{wide}: {error}"
            );
        }
        for narrow in [
            "repo:my-org/*:ref:refs/heads/main",
            "repo:my-org/**",
            "project_path:group/*:ref_type:branch:ref:main",
            "system:serviceaccount:team:*",
            "spiffe://example.org/ns/*",
            "job:build-*",
            "organization:acme:project:*",
            "org/12/project/*",
            "repository:my-org/*",
            "repository_owner:my-org:*",
            "anything",
        ] {
            ClaimPattern::of_subject(narrow).expect(narrow);
        }
        assert_eq!(ClaimPattern::of_subject(""), Err(InvalidPattern::Text));
    }

    #[test]
    fn a_pattern_and_what_it_is_compared_with_are_bounded() {
        let many = "job:a/*/*/*/**/*".parse::<ClaimPattern>();
        assert_eq!(many, Err(InvalidPattern::Stars));
        let pattern: ClaimPattern = "a*a*a*a**".parse().unwrap();
        assert!(pattern.matches(&"a".repeat(LONGEST_TEXT)));
        assert!(!pattern.matches(&"a".repeat(LONGEST_TEXT + 1)));
    }

    fn conditions(claims: &[(&str, &str)]) -> Result<WorkloadConditions, InvalidWorkloadRule> {
        let claims = claims
            .iter()
            .map(|(name, pattern)| (name.to_string(), pattern.to_string()));
        let texts = ("https://ci.test", "registry.test", "job:a/*");
        WorkloadConditions::parse(texts, &claims.collect())
    }

    #[test]
    fn every_condition_is_checked_and_what_is_not_met_is_named() {
        let given = [
            ("env", "prod"),
            ("/k8s.io/namespace", "team-*"),
            ("groups", "b"),
            ("protected", "true"),
        ];
        let rule = conditions(&given).unwrap();
        let claims = json!({ "iss": "https://ci.test", "aud": ["other", "registry.test"], "sub": "job:a/1",
            "env": "prod", "k8s.io": { "namespace": "team-1" }, "groups": ["a", "b"], "protected": true });
        let claims = claims.as_object().unwrap();
        assert_eq!(rule.unmet(claims), Vec::<String>::new());
        assert!(rule.has_claims(claims) && !rule.has_claims(&Map::new()));
        for (name, wrong) in [
            ("iss", json!("https://ci.test/")),
            ("aud", json!("registry.test.evil")),
            ("aud", json!({ "registry.test": true })),
            ("sub", json!("job:b/1")),
            ("sub", json!(["job:a/1"])),
            ("env", json!("PROD")),
            ("env", json!(null)),
            ("k8s.io", json!({ "namespace": "other" })),
            ("groups", json!(["a"])),
            ("protected", json!("false")),
        ] {
            let mut claims = claims.clone();
            claims.insert(name.to_owned(), wrong);
            assert_eq!(rule.unmet(&claims).len(), 1, "{name}");
        }
        assert_eq!(rule.unmet(&Map::new()).len(), 7);
    }

    #[test]
    fn what_is_not_valid_is_named() {
        let field = |claims: &[(&str, &str)]| conditions(claims).unwrap_err().field;
        assert_eq!(field(&[("env", "*")]), "claims.env");
        assert_eq!(field(&[("sub", "x")]), "claims.sub");
        assert_eq!(field(&[("/aud/0", "x")]), "claims./aud/0");
        assert_eq!(field(&[("", "x")]), "claims");
        let parse = |issuer, audience, subject| {
            WorkloadConditions::parse((issuer, audience, subject), &BTreeMap::new())
        };
        for issuer in [
            "",
            "http://ci.test",
            "https://",
            "https://a@ci.test",
            "https://ci.test/?x",
            "https://c i",
        ] {
            assert_eq!(parse(issuer, "a", "b").unwrap_err().field, "issuer");
        }
        for audience in ["", "*", "a*"] {
            assert_eq!(
                parse("https://ci.test", audience, "b").unwrap_err().field,
                "audience"
            );
        }
        assert_eq!(
            parse("https://ci.test", "a", "*").unwrap_err().field,
            "subject"
        );
        for name in ["", " a", "a\n", &"a".repeat(65)] {
            name.parse::<WorkloadRuleName>().unwrap_err();
        }
    }

    #[test]
    fn a_rule_is_found_by_a_key_of_each_subject_that_matches() {
        for (pattern, subject) in [
            (
                "repo:o/app:ref:refs/heads/main",
                "repo:o/app:ref:refs/heads/main",
            ),
            ("repo:o/*:ref:**", "repo:o/app:ref:refs/heads/main"),
            (
                "system:serviceaccount:team:*",
                "system:serviceaccount:team:ci",
            ),
            ("job:build-*", "job:build-7"),
            ("plain", "plain"),
            ("a:b", "a:b"),
        ] {
            let pattern = ClaimPattern::of_subject(pattern).unwrap();
            assert!(pattern.matches(subject));
            let key = pattern.key();
            assert!(subject_keys(subject).any(|one| one == key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pattern in ".{0,40}", text in ".{0,40}") {
            if let Ok(pattern) = pattern.parse::<ClaimPattern>() {
                pattern.matches(&text);
                pattern.key();
            }
            let _ = ClaimPattern::of_subject(&pattern);
            subject_keys(&text).count();
            let _ = text.parse::<Issuer>();
        }

        #[test]
        fn a_pattern_prints_back_unchanged(text in "[a-z:/]{1,20}[*]{0,2}[a-z]{0,5}") {
            prop_assert_eq!(text.parse::<ClaimPattern>().unwrap().to_string(), text);
        }

        #[test]
        fn whatever_matches_has_the_key(literal in "[a-c:/]{1,12}", end in "[a-c:/]{0,8}") {
            let pattern = format!("{literal}**");
            let subject = format!("{literal}{end}");
            if let Ok(pattern) = ClaimPattern::of_subject(&pattern) {
                prop_assert!(pattern.matches(&subject));
                prop_assert!(subject_keys(&subject).any(|key| key == pattern.key()));
            }
            if let Ok(exact) = ClaimPattern::of_subject(&subject) {
                prop_assert!(subject_keys(&subject).any(|key| key == exact.key()));
            }
        }
    }

    #[test]
    fn rules_for_client_certificates_name_somebody() {
        let parse = |audience, subject| {
            let texts = (CLIENT_CERTIFICATE, audience, subject);
            WorkloadConditions::parse(texts, &BTreeMap::new()).map(|rule| rule.subject)
        };
        for subject in [
            "dns:*.nodes.example",
            "cn:builder-*",
            "dns:node-1",
            "spiffe://prod/ns/**",
        ] {
            let rule = parse("", subject).unwrap();
            assert_eq!(rule.as_str(), subject);
        }
        let nodes = parse("", "dns:*.nodes.example").unwrap();
        assert!(nodes.matches("dns:a.nodes.example") && !nodes.matches("dns:a.example"));
        assert!(subject_keys("dns:a.nodes.example").any(|key| key == nodes.key()));
        for subject in [
            "dns:*",
            "cn:**",
            "*",
            "dns:*.*",
            "node-1",
            "d*:x",
            "spiffe://**",
        ] {
            assert!(parse("", subject).is_err(), "{subject}");
        }
        assert!(parse("registry", "dns:node-1").is_err());
    }
}
