//! People and groups as the entries of a directory describe them.

use model::{Dn, Timestamp};

use super::config::Config;
use super::entry::Entry;
use super::filter;

/// Attributes that never change for an entry; the first that it has is its subject.
const SUBJECTS: [&str; 5] = [
    "entryUUID",
    "objectGUID",
    "nsUniqueId",
    "ipaUniqueID",
    "GUID",
];
/// Those with binary values.
const BINARY: [&str; 2] = ["objectGUID", "GUID"];
/// Attributes that say whether somebody may sign in.
const STATES: [&str; 6] = [
    "userAccountControl",
    "accountExpires",
    "nsAccountLock",
    "loginDisabled",
    "pwdAccountLockedTime",
    "shadowExpire",
];
/// What describes a person.
const DESCRIPTIONS: [&str; 4] = ["cn", "uid", "mail", "email"];

/// A person in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPerson {
    /// The id that never changes: an attribute and its value.
    pub subject: String,
    /// Their entry.
    pub dn: String,
    /// Their names to sign in with, the requested one first.
    pub names: Vec<String>,
    /// The person's name.
    pub realname: String,
    /// Their mail address.
    pub email: Option<String>,
    /// The groups that the entry names.
    pub member_of: Vec<Dn>,
    /// Whether the directory returned only some of them.
    pub is_cut: bool,
    /// Why they may not sign in.
    pub ended: Option<&'static str>,
}

/// A group in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundGroup {
    /// Its entry.
    pub entry: Dn,
    /// Its name.
    pub name: String,
}

impl FoundPerson {
    /// The name to sign in with.
    pub fn name(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// True if the entry is from Active Directory.
    pub(crate) fn is_active_directory(&self) -> bool {
        self.subject.starts_with("objectguid:")
    }
}

/// The attributes that describe a person.
pub(super) fn attributes(config: &Config) -> Vec<String> {
    let fixed = [&SUBJECTS[..], &STATES[..], &DESCRIPTIONS[..]].concat();
    let own = [config.uid.as_str(), config.membership.as_str()];
    let all = own.into_iter().filter(|name| !name.is_empty()).chain(fixed);
    all.map(str::to_owned).collect()
}

/// Reads a person; `None` if the entry has no name to sign in with. `asked` is the requested name.
pub(super) fn read(
    entry: &Entry,
    config: &Config,
    asked: Option<&str>,
    now: Timestamp,
) -> Option<FoundPerson> {
    let names = entry.texts(&config.uid).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    let folded = asked.map(str::to_lowercase);
    names.sort_by_key(|name| Some(name.to_lowercase()) != folded);
    if names.is_empty() {
        return None;
    }
    let realname = entry.text("cn").or(entry.text("uid"));
    let email = entry.text("mail").or(entry.text("email"));
    let member_of = entry.texts(&config.membership);
    Some(FoundPerson {
        subject: subject(entry),
        dn: entry.dn.clone(),
        realname: realname.unwrap_or(&names[0]).to_owned(),
        names,
        email: email.map(str::to_owned),
        // One that cannot be parsed does not affect the others.
        member_of: member_of.filter_map(|dn| dn.parse().ok()).collect(),
        is_cut: entry.is_cut(&config.membership),
        ended: ended(entry, now),
    })
}

/// The unchanging id of an entry; its name if the directory has no such id.
fn subject(entry: &Entry) -> String {
    for name in SUBJECTS {
        let Some(value) = entry.values(name).first() else {
            continue;
        };
        let kind = name.to_ascii_lowercase();
        let text = std::str::from_utf8(value).map(str::to_ascii_lowercase);
        return match text {
            Ok(text) if !BINARY.contains(&name) => format!("{kind}:{text}"),
            _ => format!("{kind}:{}", hex::encode(value)),
        };
    }
    let dn = entry.dn.parse::<Dn>();
    let key = dn.map_or_else(|_| entry.dn.clone(), |dn| dn.key().to_owned());
    format!("dn:{key}")
}

/// The filter that finds the entry of a subject; `None` if the subject is the entry's name.
pub(super) fn filter_of(subject: &str) -> Option<String> {
    let (kind, value) = subject.split_once(':')?;
    let name = SUBJECTS
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(kind))?;
    match BINARY.contains(&name) {
        true => {
            let bytes = hex::decode(value).ok()?;
            Some(format!("({name}={})", filter::escaped_bytes(&bytes)))
        }
        false => Some(filter::is(name, value)),
    }
}

/// Why somebody may not sign in, in the forms of several kinds of directories.
fn ended(entry: &Entry, now: Timestamp) -> Option<&'static str> {
    /// Active Directory's flag of a disabled account.
    const DISABLED: i64 = 2;
    /// Seconds from 1601, where Active Directory's time begins, to 1970.
    const EPOCH: i64 = 11_644_473_600;
    let number = |name: &str| entry.text(name).and_then(|text| text.parse::<i64>().ok());
    let is_true = |name: &str| {
        entry
            .text(name)
            .is_some_and(|it| it.eq_ignore_ascii_case("true"))
    };
    let is_disabled = number("userAccountControl").is_some_and(|flags| flags & DISABLED != 0)
        || is_true("nsAccountLock")
        || is_true("loginDisabled");
    if is_disabled {
        return Some("the directory has the account disabled");
    }
    // Locked until an administrator unlocks it; other values mean a temporary lock.
    if entry.text("pwdAccountLockedTime") == Some("000001010000Z") {
        return Some("the directory has the account locked");
    }
    let expires = number("accountExpires").filter(|at| ![0, i64::MAX].contains(at));
    let is_expired = expires.is_some_and(|at| at / 10_000_000 - EPOCH <= now.seconds())
        || number("shadowExpire").is_some_and(|day| day > 0 && day * 86_400 <= now.seconds());
    is_expired.then_some("the account has expired in the directory")
}

/// Reads a group; `None` if the entry has no name.
pub(super) fn read_group(entry: &Entry, config: &Config) -> Option<FoundGroup> {
    Some(FoundGroup {
        entry: entry.dn.parse().ok()?,
        name: entry.text(&config.groups.name)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tenancy::setting::Values;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn config() -> Config {
        let values = Values {
            ldap_url: "ldap://x".to_owned(),
            ldap_uid: "uid".to_owned(),
            ..Values::default()
        };
        Config::from_values(&values, outgoing::Trust::Guarded).unwrap()
    }

    #[test]
    fn a_person_is_known_by_what_never_changes() {
        let entry = |id: &[(&str, &[&str])]| Entry::of("CN=X, dc=y", id);
        assert_eq!(subject(&entry(&[("entryuuid", &["A-1"])])), "entryuuid:a-1");
        let guid = subject(&entry(&[("objectGUID", &["\u{1}("])]));
        assert_eq!(guid, "objectguid:0128");
        assert_eq!(filter_of(&guid).unwrap(), "(objectGUID=\\01\\28)");
        assert_eq!(filter_of("entryuuid:a*").unwrap(), "(entryUUID=a\\2a)");
        assert_eq!(subject(&entry(&[])), "dn:cn=x,dc=y");
        assert_eq!(filter_of("dn:cn=x"), None);
    }

    #[test]
    fn the_name_that_was_typed_is_theirs_in_the_directorys_letters() {
        let entry = Entry::of(
            "cn=x,dc=y",
            &[
                ("uid", &["jsmith", "Smith"]),
                ("memberOf", &["cn=a,dc=y", "nonsense"]),
            ],
        );
        let person = read(&entry, &config(), Some("SMITH"), NOW).unwrap();
        assert_eq!(person.names, ["Smith", "jsmith"]);
        assert_eq!(person.member_of.len(), 1);
        assert_eq!((person.email, person.realname.as_str()), (None, "jsmith"));
        let nobody = Entry::of("cn=x,dc=y", &[("cn", &["x"])]);
        assert_eq!(read(&nobody, &config(), None, NOW), None);
        let cut = Entry::of(
            "cn=x,dc=y",
            &[("uid", &["x"]), ("memberOf;range=0-1499", &["cn=a"])],
        );
        assert!(read(&cut, &config(), None, NOW).unwrap().is_cut);
    }

    #[test]
    fn who_is_disabled_locked_or_expired_has_ended() {
        for (name, value, has_ended) in [
            ("userAccountControl", "514", true),
            ("userAccountControl", "512", false),
            ("accountExpires", "0", false),
            ("accountExpires", "9223372036854775807", false),
            ("accountExpires", "133000000000000000", true),
            ("accountExpires", "140000000000000000", false),
            ("nsAccountLock", "TRUE", true),
            ("loginDisabled", "FALSE", false),
            ("pwdAccountLockedTime", "000001010000Z", true),
            ("pwdAccountLockedTime", "20260101000000Z", false),
            ("shadowExpire", "1", true),
            ("shadowExpire", "-1", false),
            ("shadowExpire", "99999", false),
        ] {
            let entry = Entry::of("cn=x", &[(name, &[value])]);
            assert_eq!(ended(&entry, NOW).is_some(), has_ended, "{name}={value}");
        }
    }
}
