//! The meaning of a directory's result codes (RFC 4511, appendix A).

use std::sync::Arc;

use ldap3::LdapResult;

use super::error::{Error, Result};

/// The password, or the name, is wrong.
const INVALID_CREDENTIALS: u32 = 49;
/// Other refusals of a password: the entry is missing, has no password, or is locked.
const OTHER_REFUSALS: [u32; 4] = [19, 32, 48, 50];

/// Whether somebody's password is right.
pub(super) fn is_right(result: LdapResult) -> Result<bool> {
    match result.rc {
        0 => Ok(true),
        INVALID_CREDENTIALS => Ok(false),
        code if OTHER_REFUSALS.contains(&code) => Ok(false),
        _ => Err(error(result)),
    }
}

/// Whether the searching entry was allowed to bind, or why not.
pub(super) fn let_in(result: LdapResult) -> Result<()> {
    match result.rc {
        0 => Ok(()),
        8 | 13 => Err(error(result)),
        _ => Err(Error::SearchRefused(Arc::new(result))),
    }
}

/// Whether a search was answered completely, or why not. Referrals to other directories are not followed: if the whole
/// answer is one, nothing is known.
pub(super) fn searched(result: LdapResult) -> Result<()> {
    match result.rc {
        0 => Ok(()),
        // A matching rule (RFC 4511, section 4.5.1.7.7) that it does not have or apply.
        12 | 17 | 18 | 53 => Err(Error::RuleUnknown(Arc::new(result))),
        _ => Err(error(result)),
    }
}

pub(super) fn error(result: LdapResult) -> Error {
    match result.rc {
        3 => Error::Cut("time limit"),
        4 => Error::Cut("size limit"),
        11 => Error::Cut("administrative limit"),
        8 | 13 => Error::StrongAuth(Arc::new(result)),
        32 => Error::NoBase(Arc::new(result)),
        // Active Directory's answer without a bind.
        1 if result.text.contains("successful bind") => Error::SearchRefused(Arc::new(result)),
        // It is busy or about to stop: another address may work.
        51 | 52 => Error::Unreachable(Arc::new(result)),
        _ => Error::Refused(Arc::new(result)),
    }
}

impl From<ldap3::LdapError> for Error {
    fn from(failure: ldap3::LdapError) -> Self {
        use ldap3::LdapError as E;
        match failure {
            E::Timeout { .. } => Self::Timeout,
            E::FilterParsing => Self::Settings(
                "a filter is not understood: check ldap_filter and ldap_group_search_filter"
                    .to_owned(),
            ),
            E::Io { .. } | E::OpSend { .. } | E::ResultRecv { .. } | E::EndOfStream => {
                Self::Unreachable(Arc::new(failure))
            }
            E::LdapResult { result } => error(result),
            other => Self::Protocol(Arc::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rc: u32) -> LdapResult {
        LdapResult {
            rc,
            matched: String::new(),
            text: String::new(),
            refs: Vec::new(),
            ctrls: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_is_no_failure_and_a_failure_no_refusal() {
        for (code, right) in [(0, true), (49, false), (19, false), (32, false)] {
            assert_eq!(is_right(result(code)).unwrap(), right, "{code}");
        }
        for code in [1, 8, 51, 52, 53, 80] {
            is_right(result(code)).unwrap_err();
        }
        assert!(matches!(searched(result(4)), Err(Error::Cut("size limit"))));
        assert!(matches!(searched(result(18)), Err(Error::RuleUnknown(_))));
        assert!(matches!(let_in(result(49)), Err(Error::SearchRefused(_))));
        assert!(matches!(let_in(result(8)), Err(Error::StrongAuth(_))));
    }
}
