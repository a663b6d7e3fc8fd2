//! Tails: the bytes of an unfinished object after its last part, as small objects of their own.

use std::io;

use crate::{Error, Result};

/// Separates an object's key from its tail's name; no key contains it.
const MARK: char = '.';

/// Eight random hex digits.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Failed {
        action: "name",
        key: MARK.to_string(),
        source: io::Error::other("the system gives no random bytes"),
    })?;
    Ok(hex::encode(bytes))
}

/// The key of a tail.
pub(super) fn key(object: &str, name: &str) -> String {
    format!("{object}{MARK}{name}")
}

/// True if a key names a tail of this object.
pub(super) fn is_of(key: &str, object: &str) -> bool {
    key.strip_prefix(object)
        .and_then(|rest| rest.strip_prefix(MARK))
        .is_some_and(|name| crate::key::is_hex(name, crate::key::TAIL_DIGITS))
}

/// The key of Gantry's own object to which a key, of an object or a tail, belongs.
pub(super) fn own_object(key: &str) -> Option<&str> {
    let object = match key.rsplit_once(MARK) {
        Some((object, _)) if is_of(key, object) => object,
        _ => key,
    };
    crate::key::is_own(object).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_belongs_to_its_object() {
        let name = random().unwrap();
        assert_eq!(name.len(), 8);
        let object = format!("472222/{}", "0a".repeat(20));
        assert_eq!(own_object(&key(&object, &name)), Some(&*object));
        assert_eq!(own_object(&object), Some(&*object));
        assert!(is_of(&key("docker/blob/data", &name), "docker/blob/data"));
        assert!(!is_of("docker/blob/data.txt", "docker/blob/data"));
        assert_eq!(own_object(&format!("{object}.txt")), None);
        assert_eq!(own_object("2024/report.pdf"), None);
    }
}
