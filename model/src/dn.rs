//! Distinguished names of entries in a directory, compared by meaning.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A distinguished name, RFC 4514: `cn=Smith\, John,ou=people,dc=example`. It prints as it was given. Two are equal if
/// they differ only in letter case, in spaces, in how characters are escaped or in the order within a `+`, as
/// directories compare nearly all attributes that occur in names.
#[derive(Clone, Debug)]
pub struct Dn {
    given: String,
    key: String,
    /// Where in the key each of its parts begins.
    starts: Vec<usize>,
}

/// The text is not a distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no distinguished name, such as cn=devs,ou=groups,dc=example")]
pub struct InvalidDn;

/// Maximum length in bytes.
const LONGEST: usize = 8_192;

impl Dn {
    /// The same text for all names that are equal.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// True if it is equal to another name or below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.starts
            .iter()
            .any(|start| self.key[*start..] == base.key)
    }
}

impl FromStr for Dn {
    type Err = InvalidDn;

    fn from_str(text: &str) -> Result<Self, InvalidDn> {
        if text.len() > LONGEST {
            return Err(InvalidDn);
        }
        let (mut key, mut starts) = (String::new(), Vec::new());
        for part in split(text, &[',', ';'])? {
            if !key.is_empty() {
                key.push(',');
            }
            starts.push(key.len());
            let attributes = split(part, &['+'])?.into_iter().map(normal);
            let mut attributes: Vec<String> = attributes.collect::<Result<_, _>>()?;
            attributes.sort_unstable();
            key.push_str(&attributes.join("+"));
        }
        Ok(Self {
            given: text.to_owned(),
            key,
            starts,
        })
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Dn {}

impl Hash for Dn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// The parts between separators that are neither escaped nor quoted.
fn split<'t>(text: &'t str, separators: &[char]) -> Result<Vec<&'t str>, InvalidDn> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_escaped, mut is_quoted) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if !is_quoted && separators.contains(&letter) => {
                parts.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    if is_escaped || is_quoted {
        return Err(InvalidDn);
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// `type=value` in the form that all equal ones have.
fn normal(attribute: &str) -> Result<String, InvalidDn> {
    let (kind, value) = attribute.split_once('=').ok_or(InvalidDn)?;
    let kind = kind.trim().to_ascii_lowercase();
    let kind = kind.strip_prefix("oid.").unwrap_or(&kind);
    let is_kind = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if kind.is_empty() || !kind.bytes().all(is_kind) {
        return Err(InvalidDn);
    }
    let value = unescaped(value)?;
    let folded = value.to_lowercase();
    let words: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
    let mut text = format!("{kind}=");
    for letter in words.join(" ").chars() {
        if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#') {
            text.push('\\');
        }
        text.push(letter);
    }
    Ok(text)
}

/// A value without its escapes, its quotes and the spaces around it.
fn unescaped(value: &str) -> Result<String, InvalidDn> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.trim_matches(' ').as_bytes();
    // A value that ends in an escaped space was trimmed too far.
    let is_cut = rest.ends_with(b"\\") && !rest.ends_with(b"\\\\") && value.ends_with(' ');
    if let Some(inner) = rest
        .strip_prefix(b"\"")
        .and_then(|it| it.strip_suffix(b"\""))
    {
        rest = inner;
    }
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let hex = after.get(..2).and_then(|two| hex::decode(two).ok());
        match (hex, after.split_first()) {
            (Some(byte), _) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            (None, Some((literal, after))) => {
                bytes.push(*literal);
                rest = after;
            }
            (None, None) if is_cut => bytes.push(b' '),
            (None, None) => return Err(InvalidDn),
        }
    }
    String::from_utf8(bytes).map_err(|_| InvalidDn)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> Dn {
        text.parse().unwrap()
    }

    #[test]
    fn equal_names_have_one_key() {
        for (one, other) in [
            ("CN=a, OU=b", "cn=A,ou=B"),
            ("cn=Smith\\, John,ou=x", "cn=Smith\\2C John,ou=x"),
            ("cn=Smith\\, John,ou=x", "cn=\"Smith, John\",ou=x"),
            ("cn=a+uid=b,dc=x", "UID=b + CN=A,dc=x"),
            ("cn=a  b,dc=x", "cn= a b ,dc=x"),
            ("cn=M\\C3\\BCller,dc=x", "cn=müller,dc=x"),
            ("OID.2.5.4.3=a", "2.5.4.3=A"),
            ("cn=a;dc=x", "cn=a,dc=x"),
            ("cn=a\\ ,dc=x", "cn=a,dc=x"),
            ("cn=\\#1,dc=x", "cn=\\231,dc=x"),
        ] {
            assert_eq!(dn(one), dn(other), "{one} and {other}");
            assert_eq!(dn(one).key(), dn(other).key());
        }
        for (one, other) in [
            ("cn=a,dc=x", "cn=b,dc=x"),
            ("cn=a\\,dc=x", "cn=a,dc=x"),
            ("cn=a\\+b", "cn=a+b=c"),
            ("cn=a,cn=b", "cn=b,cn=a"),
        ] {
            assert_ne!(dn(one), dn(other), "{one} and {other}");
        }
        let long = |end: char| dn(&format!("cn={}{end},dc=x", "g".repeat(300)));
        assert_ne!(long('1'), long('2'));
    }

    #[test]
    fn a_name_lies_within_its_bases_only() {
        let name = dn("CN=devs,OU=Groups,DC=Example");
        for base in [
            "dc=example",
            "ou=groups, dc=example",
            "cn=devs,ou=groups,dc=example",
        ] {
            assert!(name.is_within(&dn(base)), "{base}");
        }
        for base in [
            "dc=ample",
            "ou=people,dc=example",
            "cn=x,cn=devs,ou=groups,dc=example",
        ] {
            assert!(!name.is_within(&dn(base)), "{base}");
        }
        assert!(!dn("cn=a\\,dc=example").is_within(&dn("dc=example")));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "x=y,".repeat(3_000);
        for bad in [
            "", "devs", "=x", "cn=a,", "cn=a\\", "c n=a", "cn=\"a", "cn=\\ff", &long,
        ] {
            assert!(bad.parse::<Dn>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_prints_back_unchanged(text in "cn=[a-zA-Z ]{1,20},dc=[a-z]{1,10}") {
            prop_assert_eq!(text.parse::<Dn>().unwrap().to_string(), text);
        }

        #[test]
        fn a_key_is_its_own_key(text in "(cn|ou)=[a-z ,+\\\\\"=#]{0,12},dc=[a-z]{1,5}") {
            if let Ok(name) = text.parse::<Dn>() {
                let again = dn(name.key());
                prop_assert_eq!(again.key(), name.key());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = text.parse::<Dn>();
        }
    }
}
