//! What a registry wants to know of whoever asks: `WWW-Authenticate`.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// It wants nothing.
    Nothing,
    /// Name and password.
    Basic,
    /// A token of a service.
    Bearer {
        /// The service's URL.
        realm: String,
        /// What the service calls the registry.
        service: Option<String>,
    },
}

/// The challenge of an answer; `None` for one that is not understood.
pub(crate) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges = all.filter_map(|value| parse(value.to_str().ok()?));
    let first = challenges.next()?;
    // Tokens are preferred where both are offered.
    match &first {
        Challenge::Bearer { .. } => Some(first),
        _ => challenges
            .find(|other| matches!(other, Challenge::Bearer { .. }))
            .or(Some(first)),
    }
}

fn parse(text: &str) -> Option<Challenge> {
    let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    for (name, value) in Parameters(parameters) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            _ => {}
        }
    }
    let realm = realm?;
    Some(Challenge::Bearer { realm, service })
}

/// `name="value"` and `name=value`, separated by commas.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([' ', ',']);
        let (name, rest) = rest.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
            Some(quoted) => {
                let mut value = String::new();
                let mut chars = quoted.char_indices();
                let end = loop {
                    match chars.next() {
                        None => break quoted.len(),
                        Some((at, '"')) => break at + 1,
                        Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                        Some((_, c)) => value.push(c),
                    }
                };
                (value, &quoted[end..])
            }
        };
        self.0 = rest;
        Some((name.trim(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        let text = r#"Bearer realm="https://a/token",service="r, x",scope="repository:a:pull""#;
        assert_eq!(parse(text), bearer("https://a/token", Some("r, x")));
        assert_eq!(
            parse("bearer realm=https://a/t"),
            bearer("https://a/t", None)
        );
        assert_eq!(parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(parse("Bearer"), None);
        assert_eq!(parse("Negotiate x"), None);
        assert_eq!(parse("Bearer realm=\"a\\"), bearer("a", None));
    }
}
