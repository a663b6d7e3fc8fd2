//! How much of a list is read. A list that is longer is an error, never a part of it: what a list does not name counts as
//! gone.

use crate::{Error, Remote, Result};

/// Pages of a list.
const PAGES: usize = 10_000;
/// Entries of a list.
const ENTRIES: usize = 200_000;
/// Bytes of the answers of a list.
const BYTES: usize = 128 << 20;

/// How much is left of a list that may be read.
pub(crate) struct Bounds {
    pages: usize,
    entries: usize,
    bytes: usize,
    most: (usize, usize),
}

impl Bounds {
    pub(crate) const LIST: Self = Self::new(PAGES, ENTRIES);

    pub(crate) const fn new(pages: usize, entries: usize) -> Self {
        Self {
            pages,
            entries,
            bytes: BYTES,
            most: (pages, entries),
        }
    }

    /// Takes a page; false where that is too much.
    fn take(&mut self, entries: usize, bytes: usize) -> bool {
        let left = (
            self.pages.checked_sub(1),
            self.entries.checked_sub(entries),
            self.bytes.checked_sub(bytes),
        );
        let (Some(pages), Some(entries), Some(bytes)) = left else {
            return false;
        };
        *self = Self {
            pages,
            entries,
            bytes,
            ..*self
        };
        true
    }
}

impl Remote {
    /// Takes a page of a list.
    ///
    /// # Errors
    /// [`Error::Endless`].
    pub(crate) fn bounded(
        &self,
        bounds: &mut Bounds,
        (entries, bytes): (usize, usize),
        what: &str,
    ) -> Result<()> {
        match bounds.take(entries, bytes) {
            true => Ok(()),
            false => {
                let (pages, entries) = bounds.most;
                Err(Error::Endless {
                    host: self.host().to_owned(),
                    what: what.to_owned(),
                    most: format!("{entries} entries, {pages} pages or {} MiB", BYTES >> 20),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_entries_and_bytes_end() {
        let mut few = Bounds::new(2, 10);
        assert!(few.take(0, 0) && few.take(0, 0));
        assert!(!few.take(0, 0), "pages without entries end too");
        assert!(!Bounds::new(2, 10).take(11, 0));
        let mut list = Bounds::LIST;
        assert!(!list.take(1, BYTES + 1));
        assert!(list.take(1, BYTES));
    }
}
