//! What came and what went, of the objects of a store or of what a registry serves.

use std::collections::{BTreeMap, BTreeSet};

/// The objects of a store as lines.
pub(super) fn lines(objects: &BTreeMap<String, u64>) -> BTreeSet<String> {
    let line = |(key, size): (&String, &u64)| format!("{key} ({size} bytes)");
    objects.iter().map(line).collect()
}

/// Fails where `whose` things are not those that are expected.
pub(super) fn different(
    whose: &str,
    now: &BTreeSet<String>,
    expected: &BTreeSet<String>,
) -> Result<(), String> {
    let more: Vec<&String> = now.difference(expected).collect();
    let fewer: Vec<&String> = expected.difference(now).collect();
    if more.is_empty() && fewer.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{whose}: {} things are there that were not to be, as {:?}; {} are not that were to be, as {:?}",
        more.len(),
        more.first(),
        fewer.len(),
        fewer.first()
    ))
}

#[cfg(test)]
mod tests {
    use super::{different, lines};

    #[test]
    fn an_object_that_came_or_went_or_grew_makes_a_difference() {
        let of = |list: &[(&str, u64)]| {
            let pairs = list.iter().map(|(key, size)| ((*key).to_owned(), *size));
            lines(&pairs.collect())
        };
        let before = of(&[("a", 1), ("b", 2)]);
        assert!(different("it", &before, &before).is_ok());
        for after in [
            of(&[("a", 1)]),
            of(&[("a", 1), ("b", 3)]),
            of(&[("a", 1), ("b", 2), ("c", 0)]),
        ] {
            assert!(different("it", &after, &before).is_err());
        }
    }
}
