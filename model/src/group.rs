//! Groups of users: where they come from, and their names.

use std::fmt;
use std::str::FromStr;

/// Where a group comes from. The numbers are Harbor's `group_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupSource {
    /// An entry of an LDAP directory.
    Ldap = 1,
    /// An authenticating proxy.
    Http = 2,
    /// A claim of an OIDC provider.
    Oidc = 3,
}

impl GroupSource {
    /// Harbor's `group_type`.
    pub const fn id(self) -> i64 {
        self as i64
    }

    /// The source with a Harbor `group_type`.
    pub fn from_id(id: i64) -> Option<Self> {
        let all = [Self::Ldap, Self::Http, Self::Oidc];
        all.into_iter().find(|source| source.id() == id)
    }
}

/// The name of a group: 1 to 255 characters, none of them a control character, and no spaces around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupName(String);

/// The text is not a name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "group_name: must have 1 to {LONGEST} characters, no control characters, and no spaces around it"
)]
pub struct InvalidGroupName;

const LONGEST: usize = 255;

impl GroupName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = InvalidGroupName;

    fn from_str(text: &str) -> Result<Self, InvalidGroupName> {
        let is_long = text.chars().nth(LONGEST).is_some();
        if text.is_empty() || is_long || text.contains(char::is_control) || text.trim() != text {
            return Err(InvalidGroupName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_one_line_without_spaces_around_it() {
        for good in [
            "devs",
            "cn=devs,dc=example",
            "Entwickler West",
            &"x".repeat(255),
        ] {
            assert!(good.parse::<GroupName>().is_ok(), "{good}");
        }
        for bad in ["", " devs", "devs\n", "a\0b", &"x".repeat(256)] {
            assert!(bad.parse::<GroupName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_source_is_known_by_its_number() {
        assert_eq!(GroupSource::from_id(3), Some(GroupSource::Oidc));
        assert_eq!(GroupSource::from_id(0), None);
        assert_eq!(GroupSource::from_id(4), None);
    }

    proptest! {
        #[test]
        fn a_name_prints_back_unchanged(text in "[a-z][a-z ]{0,50}[a-z]") {
            prop_assert_eq!(text.parse::<GroupName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,300}") {
            let _ = text.parse::<GroupName>();
        }
    }
}
