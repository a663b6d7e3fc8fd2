//! What failed of a task, while its other parts go on.

use super::error::{Copied, CopyError};
use super::journal::Journal;

/// What failed: one error of them, of which one that may pass has the task tried again.
#[derive(Default)]
pub(super) struct Failures {
    failed: Option<CopyError>,
    /// Parts whose kind the other registry refuses.
    skipped: u64,
    /// Parts that did not fail.
    done: u64,
}

impl Failures {
    /// Takes what came of a part.
    ///
    /// # Errors
    /// An error for which all other parts would fail too.
    pub(super) fn take(
        &mut self,
        journal: &Journal,
        done: Copied<()>,
        what: impl FnOnce() -> String,
    ) -> Copied<()> {
        let Err(error) = done else {
            self.done += 1;
            return Ok(());
        };
        if error.is_general() {
            return Err(error);
        }
        if error.is_refused_kind() {
            journal.skip(&what(), &error);
            self.skipped += 1;
            return Ok(());
        }
        journal.count(|counts| counts.failed += 1);
        journal.error(format!("{}: {error}", what()));
        let first = self.failed.as_ref();
        if first.is_none_or(|first| !first.is_transient()) {
            self.failed = Some(error);
        }
        Ok(())
    }

    /// What came of all.
    ///
    /// # Errors
    /// What failed; where nothing did, that all was skipped.
    pub(super) fn end(self) -> Copied<()> {
        match self.failed {
            Some(error) => Err(error),
            None if self.skipped > 0 && self.done == 0 => Err(CopyError::AllSkipped(self.skipped)),
            None => Ok(()),
        }
    }
}
