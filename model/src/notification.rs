//! Endpoints of registry notifications, as distribution's `notifications.endpoints` names them: where events of the
//! registry are sent, and which are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Endpoints at most.
pub const MOST_ENDPOINTS: usize = 10;
/// Header fields of an endpoint at most.
const MOST_HEADERS: usize = 20;
/// The longest time that an endpoint may take to answer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3_600);
/// Failures in a row at most before attempts are `backoff` apart.
const LARGEST_THRESHOLD: u32 = 1_000;

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// `https://…` or `http://…`.
    pub url: String,
    /// Whether nothing is sent to it.
    #[serde(default)]
    pub disabled: bool,
    /// How long it may take to answer. Default: 1s.
    #[serde(default = "Span::second")]
    pub timeout: Span,
    /// Failures in a row from which on attempts are `backoff` apart. Default: 10.
    #[serde(default = "threshold")]
    pub threshold: u32,
    /// Time between two attempts, once there were so many failures. Default: 1s.
    #[serde(default = "Span::second")]
    pub backoff: Span,
    /// What is not sent.
    #[serde(default)]
    pub ignore: Ignore,
    /// More media types of which nothing is sent: distribution's older form.
    #[serde(default)]
    pub ignoredmediatypes: Vec<String>,
}

/// What is not sent to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ignore {
    /// Of these media types.
    pub mediatypes: Vec<String>,
    /// These actions.
    pub actions: Vec<Action>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Content was read.
    Pull,
    /// Content was written, or a tag set.
    Push,
    /// A blob was taken over from another repository.
    Mount,
    /// Content, a tag or a repository was removed.
    Delete,
}

impl Action {
    /// Its name in an event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

const fn threshold() -> u32 {
    10
}

/// A length of time: `500ms`, `1s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    const fn second() -> Self {
        Self(Duration::from_secs(1))
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u32 = number.parse().ok()?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return None,
        };
        Some(Self(unit * number))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time: 500ms, 1s, 2m, 1h")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                let wrong =
                    || E::custom(format!("{text:?} is no length of time: 500ms, 1s, 2m, 1h"));
                Span::parse(text).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Endpoint {
    /// The endpoints in a JSON list; an empty text has none.
    ///
    /// # Errors
    /// What is wrong, and with which endpoint.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let endpoints: Vec<Self> = serde_json::from_str(text).map_err(|error| {
            format!(r#"must be a JSON list of endpoints, [{{"name": "ci", "url": "https://ci.example/events"}}]: {error}"#)
        })?;
        if endpoints.len() > MOST_ENDPOINTS {
            return Err(format!("must have at most {MOST_ENDPOINTS} endpoints"));
        }
        let mut names = BTreeSet::new();
        for endpoint in &endpoints {
            let name = &endpoint.name;
            endpoint.check().map_err(|why| format!("{name:?}: {why}"))?;
            if !names.insert(name) {
                return Err(format!("{name:?}: another endpoint has that name"));
            }
        }
        Ok(endpoints)
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(is_name) {
            return Err("name must have 1 to 64 letters, digits or of . _ -".to_owned());
        }
        if !is_http_url(&self.url) {
            return Err(
                "url must be https://HOST[:PORT][/PATH] or http://HOST[:PORT][/PATH]".to_owned(),
            );
        }
        let timeout = self.timeout.0;
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            return Err("timeout must be from 1ms to 60s".to_owned());
        }
        if self.backoff.0 > LONGEST_BACKOFF {
            return Err("backoff must be at most 1h".to_owned());
        }
        if self.threshold > LARGEST_THRESHOLD {
            return Err(format!("threshold must be at most {LARGEST_THRESHOLD}"));
        }
        Ok(())
    }

    /// Whether events of this kind are sent to it.
    pub fn wants(&self, action: Action, media_type: &str) -> bool {
        let mut ignored = self.ignore.mediatypes.iter().chain(&self.ignoredmediatypes);
        !self.ignore.actions.contains(&action) && !ignored.any(|ignored| ignored == media_type)
    }
}

/// `https://HOST[:PORT][/PATH]`, or the same with `http`, without a name or password in it.
pub fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    let rest = rest.unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "1"),
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|six| six.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(is_part)
        }
    };
    let is_clean = rest.bytes().all(|byte| byte.is_ascii_graphic()) && !rest.contains(['#', '\\']);
    is_host && is_clean && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Header fields to send, by the endpoint's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, Vec<(String, String)>>);

/// Fields that a request has anyway.
const OWN: [&str; 6] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "upgrade",
];

impl Headers {
    /// Fields from `{"ENDPOINT": {"Authorization": ["Bearer …"]}}`; a single value may stand without a list. An empty
    /// text has none.
    ///
    /// # Errors
    /// What is wrong, without any of the values.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || {
            r#"must be a JSON object of header fields by endpoint: {"ci": {"Authorization": ["Bearer TOKEN"]}}"#.to_owned()
        };
        let parsed: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_str(text).map_err(|_| wrong())?;
        let mut all = BTreeMap::new();
        for (endpoint, fields) in parsed {
            let mut list = Vec::new();
            for (name, values) in fields {
                check_field(&name).map_err(|why| format!("{endpoint:?}: {name:?} {why}"))?;
                let values = match values {
                    Value::String(one) => vec![Value::String(one)],
                    Value::Array(many) => many,
                    _ => return Err(wrong()),
                };
                for value in values {
                    let value = value.as_str().ok_or_else(wrong)?;
                    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                        return Err(format!("{endpoint:?}: {name:?} must have printable ASCII"));
                    }
                    list.push((name.clone(), value.to_owned()));
                }
            }
            if list.len() > MOST_HEADERS {
                return Err(format!(
                    "{endpoint:?}: at most {MOST_HEADERS} header fields"
                ));
            }
            all.insert(endpoint, list);
        }
        Ok(Self(all))
    }

    /// Those of an endpoint.
    pub fn of(&self, endpoint: &str) -> &[(String, String)] {
        self.0.get(endpoint).map_or(&[], Vec::as_slice)
    }
}

fn check_field(name: &str) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !(1..=100).contains(&name.len()) || !name.bytes().all(is_token) {
        return Err("is no name of a header field");
    }
    match OWN.contains(&&*name.to_ascii_lowercase()) {
        true => Err("is set by Gantry itself"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_has_distributions_fields_and_initial_values() {
        let text = r#"[{"name": "a", "url": "https://h/x"},
            {"name": "b", "url": "http://10.0.0.1:8080", "disabled": true, "timeout": "500ms", "threshold": 3,
             "backoff": "2m", "ignore": {"mediatypes": ["application/octet-stream"], "actions": ["pull"]},
             "ignoredmediatypes": ["x/y"]}]"#;
        let [a, b] = Endpoint::list(text).unwrap().try_into().unwrap();
        let second = Span(Duration::from_secs(1));
        assert_eq!(
            (a.timeout, a.threshold, a.backoff, a.disabled),
            (second, 10, second, false)
        );
        assert!(a.wants(Action::Pull, "x/y"));
        assert_eq!(b.timeout.0, Duration::from_millis(500));
        assert_eq!(b.backoff.0, Duration::from_secs(120));
        assert!(b.wants(Action::Push, "a/b") && !b.wants(Action::Pull, "a/b"));
        assert!(!b.wants(Action::Push, "x/y"));
        assert!(!b.wants(Action::Push, "application/octet-stream"));
        assert_eq!(Endpoint::list(" "), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_named() {
        for (text, why) in [
            ("{}", "JSON list"),
            (r#"[{"name": "a"}]"#, "url"),
            (r#"[{"name": "a b", "url": "https://h"}]"#, "name must"),
            (r#"[{"name": "a", "url": "ftp://h"}]"#, "url must"),
            (r#"[{"name": "a", "url": "https://u:p@h"}]"#, "url must"),
            (
                r#"[{"name": "a", "url": "https://h", "timeout": "1d"}]"#,
                "no length of time",
            ),
            (
                r#"[{"name": "a", "url": "https://h", "timeout": "2m"}]"#,
                "timeout must",
            ),
            (
                r#"[{"name": "a", "url": "https://h", "backoff": "2h"}]"#,
                "backoff must",
            ),
            (
                r#"[{"name": "a", "url": "https://h", "headers": {}}]"#,
                "unknown field",
            ),
            (
                r#"[{"name": "a", "url": "https://h", "ignore": {"actions": ["x"]}}]"#,
                "unknown variant",
            ),
            (
                r#"[{"name": "a", "url": "https://h"}, {"name": "a", "url": "https://h"}]"#,
                "another",
            ),
        ] {
            let refused = Endpoint::list(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn headers_are_read_and_their_values_not_told() {
        let headers = Headers::parse(r#"{"a": {"Authorization": ["Bearer x"], "X-Y": "z"}}"#);
        let headers = headers.unwrap();
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers.of("a"),
            [owned("Authorization", "Bearer x"), owned("X-Y", "z")]
        );
        assert!(headers.of("b").is_empty());
        for text in [
            "[]",
            r#"{"a": {"A b": "hunter2"}}"#,
            r#"{"a": {"Host": "hunter2"}}"#,
            r#"{"a": {"X": 1}}"#,
            r#"{"a": {"X": "hunter2\n"}}"#,
        ] {
            let refused = Headers::parse(text).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_no_user() {
        for good in ["https://h", "http://h:80/x?y=1", "https://[fd00::1]:8443/"] {
            assert!(is_http_url(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "h:80",
            "https://h:0",
            "https://h:x",
            "https://u@h",
            "https://h/ x",
            "https://[x]",
        ] {
            assert!(!is_http_url(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,40}") {
            let _ = Endpoint::list(&text);
            let _ = Headers::parse(&text);
            let _ = Span::parse(&text);
            let _ = is_http_url(&text);
        }
    }
}
