//! Scopes of the Docker token protocol: what a client requests, as text. `policy` decides which actions the caller has;
//! `token::Access` is what a token grants.

use std::fmt;
use std::str::FromStr;

/// Maximum scopes to consider per request; further ones are ignored.
pub const MOST_SCOPES: usize = 128;

/// A scope, `type:name:actions`, as defined by the [token scope grammar].
///
/// Known types are `repository` and `registry`; others parse too, but are never granted. The name is not checked
/// further here, and may contain colons (`repository:host:5000/app:pull`).
///
/// [token scope grammar]: https://distribution.github.io/distribution/spec/auth/scope/
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    kind: String,
    class: Option<String>,
    name: String,
    actions: Vec<String>,
}

/// The text does not have the form `type:name:actions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope must read type:name:action[,action], such as repository:library/app:pull,push")]
pub struct InvalidScope;

/// Reads the `scope` parameters of a request, each of which may hold several scopes separated by spaces.
///
/// Order and repetitions are kept. Empty parameters and malformed scopes are skipped, and so is everything after the
/// first [`MOST_SCOPES`]: clients that copy between many repositories request all of them at once.
pub fn parse_scopes<'a>(parameters: impl IntoIterator<Item = &'a str>) -> Vec<Scope> {
    parameters
        .into_iter()
        .flat_map(|parameter| parameter.split(' '))
        .filter(|text| !text.is_empty())
        .take(MOST_SCOPES)
        .filter_map(|text| text.parse().ok())
        .collect()
}

impl Scope {
    /// The type without its class: `repository` or `registry`, usually.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The class in parentheses after the type: `plugin` in `repository(plugin):…`.
    pub fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// The name of the resource, not checked.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The actions in the requested order: `pull`, `push`, `delete`, `*`; empty if the text ends in a colon.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        parse(text).ok_or(InvalidScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(class) = &self.class {
            write!(f, "({class})")?;
        }
        write!(f, ":{}:{}", self.name, self.actions.join(","))
    }
}

fn parse(text: &str) -> Option<Scope> {
    let (head, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let (kind, class) = match head.split_once('(') {
        Some((kind, class)) => (kind, Some(class.strip_suffix(')')?)),
        None => (head, None),
    };
    let actions = match actions {
        "" => Vec::new(),
        actions => actions.split(',').map(str::to_owned).collect(),
    };
    let valid = is_kind(kind)
        && class.is_none_or(is_kind)
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && actions.iter().all(|action| is_action(action));
    valid.then(|| Scope {
        kind: kind.to_owned(),
        class: class.map(str::to_owned),
        name: name.to_owned(),
        actions,
    })
}

fn is_kind(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.bytes().all(word)
}

/// The grammar's `[a-z]*`, with `*`, and the hyphen of Harbor's `scanner-pull`.
fn is_action(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'*');
    !text.is_empty() && text.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_has_type_name_and_actions() {
        let scope = scope("repository:library/app:pull,push");
        assert_eq!(
            (scope.kind(), scope.class(), scope.name()),
            ("repository", None, "library/app")
        );
        assert_eq!(scope.actions(), ["pull", "push"]);
    }

    #[test]
    fn a_name_may_contain_colons() {
        let scope = scope("repository:host.example:5000/app:pull");
        assert_eq!(scope.name(), "host.example:5000/app");
    }

    #[test]
    fn a_type_may_have_a_class() {
        let scope = scope("repository(plugin):vendor/volume:pull");
        assert_eq!(
            (scope.kind(), scope.class()),
            ("repository", Some("plugin"))
        );
    }

    #[test]
    fn an_action_may_be_all_or_none() {
        assert_eq!(scope("registry:catalog:*").actions(), ["*"]);
        assert!(scope("repository:app:").actions().is_empty());
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for wrong in [
            "",
            ":",
            "::",
            "repository",
            "repository:app",
            ":app:pull",
            "repository::pull",
            "Repository:app:pull",
            "repository(:app:pull",
            "repository():app:pull",
            "repository(a)b:app:pull",
            "repository:app:pull,",
            "repository:app:PULL",
            "repository:app:pull,,push",
            "repository:a\tb:pull",
            "repository:ä:pull",
            "a b:c:d",
        ] {
            assert_eq!(wrong.parse::<Scope>(), Err(InvalidScope), "{wrong}");
        }
    }

    #[test]
    fn several_scopes_come_in_one_parameter_or_in_several() {
        let expected = [
            scope("repository:a:pull"),
            scope("repository:b:push"),
            scope("registry:catalog:*"),
        ];
        let parameters = [
            "repository:a:pull  repository:b:push",
            "",
            "registry:catalog:*",
        ];
        assert_eq!(parse_scopes(parameters), expected);
        assert_eq!(parse_scopes([]), []);
    }

    #[test]
    fn a_malformed_scope_takes_none_of_the_others_along() {
        let parameters = ["nonsense repository:a:pull", "repository:b:PULL"];
        assert_eq!(parse_scopes(parameters), [scope("repository:a:pull")]);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let many = vec!["repository:a:pull"; MOST_SCOPES];
        let more = many
            .iter()
            .copied()
            .chain(["repository:b:pull", "nonsense"]);
        let scopes = parse_scopes(more);
        assert_eq!(scopes, vec![scope("repository:a:pull"); MOST_SCOPES]);
        assert_eq!(parse_scopes([&*many.join(" ")]), scopes);

        let long = format!("repository:{}:pull", "a".repeat(10_000));
        assert_eq!(parse_scopes([&*long]), [scope(&long)]);
    }

    proptest! {
        #[test]
        fn a_scope_prints_back_unchanged(
            text in r"[a-z0-9]{1,12}(\([a-z0-9]{1,8}\))?:[!-~]{1,60}:([a-z*-]{1,8}(,[a-z*-]{1,8}){0,3})?"
        ) {
            prop_assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }

        #[test]
        fn whatever_parses_prints_back_unchanged(text in "[a-c:,()*/ ]{0,20}|\\PC{0,40}") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_parsing_panic(parameters: Vec<String>) {
            let _ = parse_scopes(parameters.iter().map(String::as_str));
        }
    }
}
