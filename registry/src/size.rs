//! The sizes that a manifest states of what it names.

use std::fmt;

use db::manifest::Found;
use model::manifest::Field;
use model::{Digest, Manifest};

/// A descriptor that states another size than what it names has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSize {
    /// The field of the manifest.
    pub field: Field,
    /// What it names.
    pub digest: Digest,
    /// Bytes that the descriptor states.
    pub stated: i64,
    /// Bytes that are there.
    pub actual: i64,
}

impl fmt::Display for WrongSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            digest,
            stated,
            actual,
        } = self;
        write!(
            f,
            "{field} states {stated} bytes for {digest}, which has {actual}"
        )
    }
}

/// Descriptors of a manifest that state a wrong size of what was found for them.
pub fn wrong_sizes(manifest: &Manifest, found: &[Found]) -> Vec<WrongSize> {
    let children = manifest.children.iter().zip(found);
    let wrong = children.filter_map(|(child, found)| {
        let actual = found.size().filter(|actual| *actual != child.size)?;
        Some(WrongSize {
            field: child.field,
            digest: child.digest,
            stated: child.size,
            actual,
        })
    });
    wrong.collect()
}
