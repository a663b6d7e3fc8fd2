//! The objects of a store, by key, with their sizes: the same as before, or what came and went.

use std::collections::BTreeMap;

/// Fails where objects came, went, or are not as long as they were.
pub(super) fn different(
    now: &BTreeMap<String, u64>,
    expected: &BTreeMap<String, u64>,
) -> Result<(), String> {
    if now == expected {
        return Ok(());
    }
    let only = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| -> Vec<String> {
        let missing = a.iter().filter(|(key, size)| b.get(*key) != Some(*size));
        missing
            .map(|(key, size)| format!("{key} ({size} bytes)"))
            .collect()
    };
    let (more, fewer) = (only(now, expected), only(expected, now));
    Err(format!(
        "{} objects are there that were not to be, as {:?}; {} are not that were, as {:?}",
        more.len(),
        more.first(),
        fewer.len(),
        fewer.first()
    ))
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, different};

    #[test]
    fn an_object_that_came_or_went_or_grew_makes_a_difference() {
        let of = |list: &[(&str, u64)]| -> BTreeMap<String, u64> {
            list.iter()
                .map(|(key, size)| ((*key).to_owned(), *size))
                .collect()
        };
        let before = of(&[("a", 1), ("b", 2)]);
        assert!(different(&before, &before).is_ok());
        for after in [
            of(&[("a", 1)]),
            of(&[("a", 1), ("b", 3)]),
            of(&[("a", 1), ("b", 2), ("c", 0)]),
        ] {
            assert!(different(&after, &before).is_err());
        }
    }
}
