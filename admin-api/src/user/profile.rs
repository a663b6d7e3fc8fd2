//! The rules for names, mail addresses and comments of accounts.

use crate::Error;

const ILLEGAL: [char; 6] = [',', '"', '~', '#', '$', '%'];
/// The name of anonymous callers in the audit log.
const ANONYMOUS: &str = "anonymous";
/// Maximum length of a name, in bytes.
const LONGEST_NAME: usize = 255;
/// Maximum length of a mail address, in bytes (RFC 5321).
const LONGEST_EMAIL: usize = 254;
/// Maximum length of a comment, in characters.
const LONGEST_COMMENT: usize = 30;

/// Checks a name to sign in with.
///
/// # Errors
/// Names the rule that it breaks.
pub fn check_username(name: &str) -> Result<(), Error> {
    check_name("username", name)?;
    // Basic cannot carry a name with a colon (RFC 7617, section 2); with spaces around it, a name
    // would look like another.
    if name.contains(':') || name.chars().any(char::is_control) || name.trim() != name {
        return Err(illegal("username"));
    }
    if name == ANONYMOUS {
        return Err(Error::BadRequest(format!(
            "username {ANONYMOUS} is reserved"
        )));
    }
    Ok(())
}

/// Checks the fields of an account that its owner may change: mail address, name and comment.
///
/// # Errors
/// Names the broken rule.
pub fn check_profile(email: &str, realname: &str, comment: &str) -> Result<(), Error> {
    if email.is_empty() {
        return Err(Error::BadRequest("email can't be empty".to_owned()));
    }
    if !is_email(email) {
        return Err(Error::BadRequest("email with illegal format".to_owned()));
    }
    check_name("realname", realname)?;
    if comment.chars().count() > LONGEST_COMMENT {
        return Err(Error::BadRequest("comment with illegal length".to_owned()));
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Error::BadRequest(format!("{field} with illegal length")));
    }
    if name.contains(ILLEGAL) {
        return Err(illegal(field));
    }
    Ok(())
}

fn illegal(field: &str) -> Error {
    Error::BadRequest(format!("{field} contains illegal characters"))
}

/// True if a text looks like a mail address: enough to catch typos; only sending can verify it.
fn is_email(text: &str) -> bool {
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
    use super::*;

    #[test]
    fn names_that_pass_for_others_are_refused() {
        for good in ["ann", "Ann B.", "a@b.example", "übung"] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a:b",
            " admin",
            "admin\t",
            "anonymous",
            "a#1",
            "a\"b",
            "robot$a",
        ] {
            assert!(check_username(bad).is_err(), "{bad}");
        }
        assert!(check_username(&"a".repeat(256)).is_err());
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
