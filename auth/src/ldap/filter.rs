//! Filters of searches (RFC 4515). Text from outside is always escaped.

use std::fmt::Write as _;

/// The rule by which Active Directory finds members of members.
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// A value, escaped for a filter.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0 => push_escaped(&mut text, byte),
            // The rest of UTF-8 needs no escape.
            _ if byte.is_ascii() => text.push(char::from(byte)),
            _ => push_escaped(&mut text, byte),
        }
    }
    text
}

/// Bytes, escaped for a filter.
pub(super) fn escaped_bytes(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len() * 3);
    value.iter().for_each(|byte| push_escaped(&mut text, *byte));
    text
}

fn push_escaped(text: &mut String, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "\\{byte:02x}");
}

/// `(attribute=value)`.
pub(super) fn is(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", escaped(value))
}

/// `(attribute=*)`.
pub(super) fn has(attribute: &str) -> String {
    format!("({attribute}=*)")
}

/// Groups of which an entry is a member, directly or through other groups.
pub(super) fn has_member_in_chain(dn: &str) -> String {
    format!("(member:{IN_CHAIN}:={})", escaped(dn))
}

/// Any of the clauses.
pub(super) fn any(clauses: &[String]) -> String {
    match clauses {
        [one] => one.clone(),
        _ => format!("(|{})", clauses.concat()),
    }
}

/// A filter that an administrator wrote, possibly without parentheses, and a clause.
pub(super) fn both(written: &str, clause: &str) -> String {
    let written = written.trim();
    match written {
        "" => clause.to_owned(),
        _ if written.starts_with('(') => format!("(&{written}{clause})"),
        _ => format!("(&({written}){clause})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_from_outside_is_escaped() {
        assert_eq!(is("uid", "a*)(uid=*"), "(uid=a\\2a\\29\\28uid=\\2a)");
        assert_eq!(escaped("\\\0"), "\\5c\\00");
        assert_eq!(
            escaped("cn=Smith\\, (J),dc=x"),
            "cn=Smith\\5c, \\28J\\29,dc=x"
        );
        assert_eq!(escaped("ü"), "\\c3\\bc");
        assert_eq!(escaped_bytes(&[0, 255]), "\\00\\ff");
    }

    #[test]
    fn an_administrators_filter_is_put_in_parentheses() {
        assert_eq!(both("", "(a=b)"), "(a=b)");
        assert_eq!(both("c=d", "(a=b)"), "(&(c=d)(a=b))");
        assert_eq!(both(" (c=d) ", "(a=b)"), "(&(c=d)(a=b))");
        assert_eq!(super::any(&["(a=b)".into()]), "(a=b)");
        assert_eq!(
            super::any(&["(a=b)".into(), "(c=d)".into()]),
            "(|(a=b)(c=d))"
        );
    }

    proptest! {
        #[test]
        fn no_value_ends_its_clause(value in any_text()) {
            let clause = is("uid", &value);
            let inner = &clause[5..clause.len() - 1];
            prop_assert!(!inner.contains(['(', ')', '*', '\0']));
            prop_assert!(ldap3::parse_filter(&clause).is_ok(), "{clause}");
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        ".{0,40}"
    }
}
