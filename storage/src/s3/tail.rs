//! Tails: the bytes of an unfinished object that lie behind its last part, as small objects of their own.

use std::io;

use crate::{Error, Result};

/// Stands between an object's key and its tail's name; no key has it.
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

/// The key of the object that a key, of an object or of a tail, belongs to.
pub(super) fn object(key: &str) -> &str {
    key.split_once(MARK).map_or(key, |(object, _)| object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_belongs_to_its_object() {
        let name = random().unwrap();
        assert_eq!(name.len(), 8);
        assert_eq!(object(&key("472222/0a1b", &name)), "472222/0a1b");
        assert_eq!(object("472222/0a1b"), "472222/0a1b");
    }
}
