//! The fencing number that all writes of a job carry, so that a process that lost a job writes nothing more.
//!
//! A job's row has a number, which every taker of the job raises. A run happens [`within`] its number, and every
//! transaction that begins there, in any crate, first checks that the row still has that number. On SQLite transactions
//! run one after the other, so the check holds until the commit. On PostgreSQL it locks the row `for key share`. The
//! number is part of a unique key, so taking the job needs the row's exclusive lock, which waits for that transaction;
//! renewing the lease changes no key and does not wait. So each write of a job is either committed before another
//! process takes the job, or fails with [`Error::Fenced`].
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

tokio::task_local! {
    static FENCE: Fence;
}

/// Runs work whose transactions fail once another process has taken the job.
pub async fn within<T>(fence: Fence, work: impl Future<Output = T>) -> T {
    FENCE.scope(fence, work).await
}

/// The job that the current task runs.
pub(crate) fn current() -> Option<Fence> {
    FENCE.try_with(|fence| *fence).ok()
}

/// Fails if another process has taken the job.
pub(crate) async fn check(tx: &mut Tx, fence: Option<Fence>) -> Result<()> {
    let Some(fence) = fence else { return Ok(()) };
    let held = tx
        .query_either(
            "select id from job where id = $1 and fence = $2 and state = 'running'",
            "select id from job where id = $1 and fence = $2 and state = 'running' for key share",
        )
        .bind(fence.job)
        .bind(fence.number)
        .optional()
        .await?;
    held.map(drop).ok_or(Error::Fenced)
}
