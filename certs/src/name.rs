//! Names of a server certificate, normalized so that they can be compared.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::SanType;

use crate::error::{Error, Result};

/// A DNS name, a wildcard such as `*.example.com`, or an IP address.
///
/// It is kept in the form used in certificates: DNS names in lower case, IPv6 addresses in their shortest form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A DNS name or wildcard, in lower case.
    Dns(String),
    /// An IP address.
    Address(IpAddr),
}

impl SubjectName {
    /// The name as a subject alternative name.
    pub(crate) fn alternative(&self) -> Result<SanType> {
        match self {
            Self::Address(address) => Ok(SanType::IpAddress(*address)),
            Self::Dns(name) => {
                let name = name.as_str().try_into();
                name.map(SanType::DnsName).map_err(Error::Issue)
            }
        }
    }
}

impl FromStr for SubjectName {
    type Err = Error;

    /// Accepts addresses with or without brackets.
    fn from_str(text: &str) -> Result<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let name = text.to_ascii_lowercase();
        if is_dns_name(name.strip_prefix("*.").unwrap_or(&name)) {
            Ok(Self::Dns(name))
        } else {
            Err(Error::InvalidName(text.to_owned()))
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A host name as clients match it: RFC 1123 labels, plus the underscore, which Go and rustls accept.
fn is_dns_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        bytes.len() <= 63
            && word(first)
            && word(last)
            && bytes.iter().all(|byte| word(*byte) || *byte == b'-')
    };
    let numeric_end = text
        .rsplit('.')
        .next()
        .is_some_and(|end| end.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && !numeric_end && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> SubjectName {
        text.parse().unwrap()
    }

    #[test]
    fn one_name_has_one_form() {
        assert_eq!(name("Registry.Example"), name("registry.example"));
        assert_eq!(name("FD00:0:0:0:0:0:0:1"), name("fd00::1"));
        assert_eq!(name("[::1]"), name("::1"));
        assert_eq!(name("fd00:0::1").to_string(), "fd00::1");
        assert_eq!(name("*.Apps.example").to_string(), "*.apps.example");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in [
            "",
            "a b",
            "*",
            "*.",
            "a.*.b",
            "-a",
            "a..b",
            "1.2.3",
            "12345",
            "ä.example",
            "a/b",
            "a:5000",
            "https://a",
        ] {
            let error = wrong.parse::<SubjectName>().unwrap_err();
            assert!(matches!(error, Error::InvalidName(_)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_prints_back(text in ".{0,80}") {
            if let Ok(name) = text.parse::<SubjectName>() {
                prop_assert_eq!(name.to_string().parse::<SubjectName>().unwrap(), name);
            }
        }
    }
}
