//! Object keys: `<hour>/<process><random>`, chosen when an upload starts and never derived from the content. An object
//! is Gantry's own only if its name has exactly this form: everything else below the store's root is foreign, and is
//! neither listed nor swept.

use model::Timestamp;

/// The first hour a key can have: the start of 2023, before any key was made.
const FIRST_HOUR: i64 = 464_592;
/// Digits of an hour, until the year 2084.
const HOUR_DIGITS: usize = 6;
/// Hexadecimal digits after the hour: 4 bytes that name the process and 16 random ones.
const NAME_DIGITS: usize = 40;
/// Hexadecimal digits that name a tail.
pub(crate) const TAIL_DIGITS: usize = 8;
/// Suffix of the key of a file's copy.
pub(crate) const COPY: &str = "copy";

/// Identifies the process that made a key, so that it can tell its own running uploads from leftovers of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub [u8; 4]);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A new key. `random` comes from a cryptographic source.
pub fn new(now: Timestamp, process: Process, random: [u8; 16]) -> String {
    format!(
        "{}/{}{}",
        now.hour(),
        hex::encode(process.0),
        hex::encode(random)
    )
}

/// True if `process` made the key.
pub fn is_of(key: &str, process: Process) -> bool {
    is_own(key)
        && key
            .split_once('/')
            .is_some_and(|(_, name)| name.starts_with(&hex::encode(process.0)))
}

/// True if the key has the exact form of one that [`new`] makes.
pub fn is_own(key: &str) -> bool {
    hour(key).is_some()
}

/// The hour in which a key was made; `None` for foreign keys.
pub fn hour(key: &str) -> Option<i64> {
    let (folder, name) = key.split_once('/')?;
    is_hex(name, NAME_DIGITS)
        .then(|| hour_of_folder(folder))
        .flatten()
}

/// The object to which a part of an unfinished object belongs; `None` if the path does not have the form of a part. A
/// part is a tail, `<key>.<8 hexadecimal digits>`, or a copy of a file, `<key>.copy`.
pub(crate) fn of_part(path: &str) -> Option<&str> {
    let (object, part) = path.rsplit_once('.')?;
    (part == COPY || is_hex(part, TAIL_DIGITS)).then_some(object)
}

/// The hour of a folder's name; `None` for foreign folders.
pub(crate) fn hour_of_folder(name: &str) -> Option<i64> {
    let digits = name.len() == HOUR_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
    let hour = digits.then(|| name.parse().ok()).flatten()?;
    (hour >= FIRST_HOUR).then_some(hour)
}

/// True if the text is exactly this many lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    #[test]
    fn a_key_is_recognised_by_its_exact_form() {
        let key = new(NOW, Process([9; 4]), [0xab; 16]);
        assert_eq!(hour(&key), Some(472_222));
        assert!(is_of(&key, Process([9; 4])));
        assert!(!is_of(&key, Process([8; 4])));
        let name = &key[7..];
        let foreign = [
            "2024/report.pdf".to_owned(),
            format!("2024/{name}"),
            format!("1/{name}"),
            format!("464591/{name}"),
            format!("+472222/{name}"),
            format!("0472222/{name}"),
            format!("-72222/{name}"),
            format!("472222/{}", name.to_uppercase()),
            format!("472222/{name}0"),
            format!("472222/{}", &name[1..]),
            format!("472222/{name}.txt"),
            format!("472222/{name}/"),
            format!("472222/{name}/{name}"),
            format!("a/{key}"),
            format!("/{key}"),
            "472222/".to_owned(),
            "472222".to_owned(),
            String::new(),
        ];
        for key in foreign {
            assert_eq!(hour(&key), None, "{key}");
        }
    }

    #[test]
    fn a_part_belongs_to_its_object() {
        let key = new(NOW, Process([9; 4]), [0xab; 16]);
        for part in ["copy", "0123abcd"] {
            assert_eq!(of_part(&format!("{key}.{part}")), Some(&*key));
        }
        for path in ["", ".txt", ".0123abc", ".0123ABCD", ".copy.txt", ".copies"] {
            assert_eq!(of_part(&format!("{key}{path}")), None, "{path}");
        }
    }
}
