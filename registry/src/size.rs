//! The sizes that a manifest states for its references.

use std::fmt;

use db::manifest::Found;
use model::manifest::Field;
use model::{Digest, Manifest};

/// A descriptor whose stated size is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSize {
    /// The field of the manifest.
    pub field: Field,
    /// What it names.
    pub digest: Digest,
    /// The stated size in bytes.
    pub stated: i64,
    /// The actual size in bytes.
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

/// Descriptors of a manifest whose stated size differs from what was found.
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
