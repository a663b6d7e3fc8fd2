//! The fencing number that all writes of a job carry, so that a process that lost a job writes nothing more.
//!
//! A job's row has a number, which every taker of the job raises. A run happens [`within`] its number, and every
//! transaction that begins there, in any crate, first checks that the row still has that number. On SQLite transactions
//! run one after the other, so the check holds until the commit. On PostgreSQL it locks the row `for key share`. The
//! number is part of a unique key, so taking the job needs the row's exclusive lock, which waits for that transaction;
//! renewing the lease changes no key and does not wait. So each write of a job is either committed before another
//! process takes the job, or fails with [`Error::Fenced`].
//!
//! A run learns with the renewal of its lease that its job was cancelled, a few seconds later. Work that must write nothing
//! from then on happens [`until_cancelled`]: its transactions check that too, and on PostgreSQL lock the row `for share`, so
//! that who cancels waits for those that have begun, and so does the renewal of the lease.
//!
//! Lock order: the job's row is locked after the project and before everything else, and takers of jobs lock nothing
//! but rows of jobs. A task spawned within does not carry the number.

use model::JobId;

use crate::error::{Error, Result};
use crate::sql::Tx;

/// A job in the hands of one holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// Its number while this holder has it.
    pub number: i64,
}

/// What the transactions of the current task check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    fence: Fence,
    /// Whether they fail also once the job was cancelled.
    is_until_cancelled: bool,
}

tokio::task_local! {
    static FENCE: Checked;
}

/// Runs work whose transactions fail once another process has taken the job.
pub async fn within<T>(fence: Fence, work: impl Future<Output = T>) -> T {
    let checked = Checked {
        fence,
        is_until_cancelled: false,
    };
    FENCE.scope(checked, work).await
}

/// Runs work of a job whose transactions fail also once the job was cancelled. Outside of a job it changes nothing.
pub async fn until_cancelled<T>(work: impl Future<Output = T>) -> T {
    match current() {
        Some(checked) => {
            let checked = Checked {
                is_until_cancelled: true,
                ..checked
            };
            FENCE.scope(checked, work).await
        }
        None => work.await,
    }
}

/// What the transactions of the current task check.
pub(crate) fn current() -> Option<Checked> {
    FENCE.try_with(|checked| *checked).ok()
}

/// Fails if another process has taken the job, or if that is asked for and it was cancelled.
pub(crate) async fn check(tx: &mut Tx, checked: Option<Checked>) -> Result<()> {
    let Some(checked) = checked else {
        return Ok(());
    };
    let held = match checked.is_until_cancelled {
        false => tx.query_either(
            "select id from job where id = $1 and fence = $2 and state = 'running'",
            "select id from job where id = $1 and fence = $2 and state = 'running' for key share",
        ),
        true => tx.query_either(
            "select id from job where id = $1 and fence = $2 and state = 'running' and cancel_at is null",
            "select id from job where id = $1 and fence = $2 and state = 'running' and cancel_at is null for share",
        ),
    };
    let held = held
        .bind(checked.fence.job)
        .bind(checked.fence.number)
        .optional()
        .await?;
    held.map(drop).ok_or(Error::Fenced)
}
