//! What failed of a task, while its other parts go on.

use super::error::{Copied, CopyError};
use super::journal::Journal;

/// What failed: one error of them, of which one that may pass has the task tried again.
#[derive(Default)]
pub(super) struct Failures(Option<CopyError>);

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
            return Ok(());
        };
        if error.is_general() {
            return Err(error);
        }
        if error.is_refused_kind() {
            journal.warn(format!("{}, it is skipped: {error}", what()));
            return Ok(());
        }
        journal.count(|counts| counts.failed += 1);
        journal.error(format!("{}: {error}", what()));
        let replaces = self.0.as_ref().is_none_or(|first| !first.is_transient());
        if replaces {
            self.0 = Some(error);
        }
        Ok(())
    }

    /// What came of all.
    ///
    /// # Errors
    /// What failed.
    pub(super) fn end(self) -> Copied<()> {
        self.0.map_or(Ok(()), Err)
    }
}
