//! Attributes of new users: the name to sign in with, and their profile.

use std::fmt;
use std::str::FromStr;

/// A name to sign in with: up to 255 bytes, without characters that make it look like another name or that Basic cannot
/// carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(String);

/// Why a text is not a user name. The messages are Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUserName {
    /// Empty, or too long.
    #[error("username with illegal length")]
    Length,
    /// Colons, control characters, spaces around it, and some that Harbor refuses.
    #[error("username contains illegal characters")]
    Characters,
    /// Names that the history uses for others than users.
    #[error("this username is reserved")]
    Reserved,
}

/// Mail address, name and comment of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    email: String,
    realname: String,
    comment: String,
}

/// Why a profile is invalid. The messages are Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfile {
    /// There is no mail address.
    #[error("email can't be empty")]
    NoEmail,
    /// The mail address is malformed.
    #[error("email with illegal format")]
    Email,
    /// The person's name is empty, or too long.
    #[error("realname with illegal length")]
    RealnameLength,
    /// The person's name has characters that Harbor refuses.
    #[error("realname contains illegal characters")]
    RealnameCharacters,
    /// The comment is too long.
    #[error("comment with illegal length")]
    Comment,
}

const ILLEGAL: [char; 6] = [',', '"', '~', '#', '$', '%'];
/// Names that the history uses for others than users.
const RESERVED: [&str; 7] = [
    "anonymous",
    "command line",
    "directory",
    "first start",
    "garbage collection",
    "audit purge",
    "registration",
];
/// Maximum length of a name in bytes.
const LONGEST_NAME: usize = 255;
/// Maximum length of a mail address in bytes, by RFC 5321.
const LONGEST_EMAIL: usize = 254;
/// Maximum length of a comment in characters.
const LONGEST_COMMENT: usize = 30;

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = InvalidUserName;

    fn from_str(text: &str) -> Result<Self, InvalidUserName> {
        if text.is_empty() || text.len() > LONGEST_NAME {
            return Err(InvalidUserName::Length);
        }
        // Basic cannot carry a name with a colon (RFC 7617, section 2); with spaces around it, a name would look like
        // another.
        let illegal = |letter: char| {
            ILLEGAL.contains(&letter) || letter == ':' || letter.is_control() || is_unseen(letter)
        };
        if text.contains(illegal) || text.trim() != text {
            return Err(InvalidUserName::Characters);
        }
        if RESERVED.contains(&&*text.to_lowercase()) {
            return Err(InvalidUserName::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Profile {
    /// A valid profile.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn new(email: String, realname: String, comment: String) -> Result<Self, InvalidProfile> {
        if email.is_empty() {
            return Err(InvalidProfile::NoEmail);
        }
        if !is_email(&email) {
            return Err(InvalidProfile::Email);
        }
        if realname.is_empty() || realname.len() > LONGEST_NAME {
            return Err(InvalidProfile::RealnameLength);
        }
        // A line break would end a mail header.
        if realname.contains(ILLEGAL) || realname.contains(char::is_control) {
            return Err(InvalidProfile::RealnameCharacters);
        }
        if comment.chars().count() > LONGEST_COMMENT {
            return Err(InvalidProfile::Comment);
        }
        Ok(Self {
            email,
            realname,
            comment,
        })
    }

    /// The mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The person's name.
    pub fn realname(&self) -> &str {
        &self.realname
    }

    /// Free text.
    pub fn comment(&self) -> &str {
        &self.comment
    }
}

/// True for a character that is invisible or changes how others look: a name with it would look like another.
pub fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether a text looks like a mail address: enough to catch typing errors, as only sending can tell.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    text.len() <= LONGEST_EMAIL
        && !local.is_empty()
        && local.split('.').all(|part| !part.is_empty())
        && local.chars().all(plain)
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_valid_name_prints_back_unchanged(text in "[a-zA-Z0-9._@+-]{1,80}") {
            prop_assume!(!RESERVED.contains(&&*text.to_lowercase()));
            prop_assert_eq!(text.parse::<UserName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,300}") {
            let _ = text.parse::<UserName>();
            let _ = Profile::new(text.clone(), text.clone(), text);
        }
    }

    #[test]
    fn names_that_pass_for_others_are_refused() {
        for good in ["ann", "Ann B.", "a@b.example", "übung"] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a:b",
            " admin",
            "admin\t",
            "anonymous",
            "Command Line",
            "adm\u{200b}in",
            "a#1",
            "a\"b",
            "robot$a",
        ] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
        assert!("a".repeat(256).parse::<UserName>().is_err());
    }

    #[test]
    fn mail_addresses_need_a_name_and_a_domain() {
        for good in ["a@b.example", "a.b+c@d-e.example.org", "ü@exämple.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "@b.c", "a@", "a@b", "a@b..c", "a@-b.c", "a b@c.d", "a@b.c d", ".a@b.c",
            "a@b.c\n", "<a@b.c>",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
