//! Mails about accounts: the payload of the jobs that send them. Links are made when a mail is sent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::UserId;

/// A mail about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum AccountMail {
    /// With the link that verifies the address of an account.
    Verification {
        /// The account.
        user: UserId,
        /// The language of the text.
        language: MailLanguage,
    },
    /// To the previous verified address of an account that has a new one.
    AddressChanged {
        /// That address.
        email: String,
        /// The account's name.
        account: String,
        /// The language of the text.
        language: MailLanguage,
    },
    /// With links that set a new password, for each account that has the address.
    Reset {
        /// The address, as it was given.
        email: String,
        /// The address that the request came from.
        asked_from: Option<IpAddr>,
        /// The language of the text.
        language: MailLanguage,
    },
}

impl AccountMail {
    /// The kind of the jobs that send such mails.
    pub const JOB: &'static str = "account_mail";
    /// The version of the payload.
    pub const VERSION: i64 = 1;
}

/// The languages of mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailLanguage {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Chinese, in simplified characters.
    #[serde(rename = "zh-CN")]
    Chinese,
}

impl MailLanguage {
    /// The language that an `Accept-Language` header prefers, by its first entry that is one of ours.
    pub fn preferred(header: &str) -> Self {
        let tags = header
            .split(',')
            .filter_map(|entry| entry.split(';').next());
        let known = tags.filter_map(|tag| match tag.trim().split('-').next() {
            Some(tag) if tag.eq_ignore_ascii_case("zh") => Some(Self::Chinese),
            Some(tag) if tag.eq_ignore_ascii_case("en") => Some(Self::English),
            _ => None,
        });
        known.into_iter().next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_language_is_taken() {
        for (header, language) in [
            ("", MailLanguage::English),
            ("de, zh-TW;q=0.8, en;q=0.5", MailLanguage::Chinese),
            ("ZH-cn", MailLanguage::Chinese),
            ("en-GB,zh", MailLanguage::English),
            (";;,,", MailLanguage::English),
        ] {
            assert_eq!(MailLanguage::preferred(header), language, "{header}");
        }
    }
}
