//! Passing on what the audit log says to receivers elsewhere, each of which is a follower of the log
//! ([`db::audit::follower`]).
//!
//! A follower's place moves in a transaction of its own, once the receiver has taken what is before it. If the process
//! dies in between, the same is passed on again: at least once, and in order. The transaction carries the job's fencing
//! number, so that a process that lost the job moves nothing any more. A receiver that does not take what it is sent is
//! tried again; everything waits in the log meanwhile, and a purge leaves it there.
//!
//! Followers are added and removed with the settings that ask for them, in one transaction (`tenancy::setting`): a process
//! whose settings are half a second old neither removes one that was just added, nor brings one back. A start only adds them,
//! as settings in a configuration file may differ from process to process; and a job adds the one that it misses.

use std::sync::Arc;
use std::time::Duration;

use db::audit::follower::{self, Follower};
use db::{Db, Reader};
use model::{Clock, Timestamp};

use crate::Result;
use crate::horizon::Settling;

/// A receiver.
pub(crate) trait Receiver: Send + Sync {
    /// What it is sent.
    type Item: Send;

    /// The follower's name.
    fn name(&self) -> &str;

    /// Reads what follows an entry, up to another.
    fn read(
        &self,
        reader: &mut Reader,
        range: (i64, i64),
    ) -> impl Future<Output = Result<Page<Self::Item>>> + Send;

    /// Passes items on; an error says why they were not taken.
    fn pass_on(&self, items: Vec<Self::Item>) -> impl Future<Output = Result<(), String>> + Send;

    /// The time until the next attempt, after so many failures in a row.
    fn pause(&self, failures: i64) -> Duration;
}

/// Some of what follows an entry.
pub(crate) struct Page<T> {
    /// What is of interest.
    pub(crate) items: Vec<T>,
    /// The last entry that was looked at.
    pub(crate) reached: i64,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The follower has moved, and there may be more.
    Moved,
    /// There is nothing to pass on now.
    Idle,
    /// The receiver did not take it.
    Failed,
}

/// What moving followers needs.
pub(crate) struct Following {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl Following {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Whether there is something to do for a follower that the settings ask for. One that is missing is to be added, see
    /// [`Settings::begin_followers`](tenancy::setting::Settings::begin_followers).
    pub(crate) async fn is_wanted(&self, name: &str) -> Result<bool> {
        let mut reader = self.db.reader().await?;
        match follower::find(&mut reader, name).await? {
            None => Ok(true),
            Some(follower) => {
                let newest = follower::newest_id(&mut reader).await?;
                Ok(self.is_due(&follower) && newest > follower.read)
            }
        }
    }

    /// Whether a follower is not there: a process whose configuration file has another setting may have removed it.
    pub(crate) async fn is_missing(&self, name: &str) -> Result<bool> {
        let mut reader = self.db.reader().await?;
        Ok(follower::find(&mut reader, name).await?.is_none())
    }

    fn is_due(&self, follower: &Follower) -> bool {
        follower.retry_at.is_none_or(|at| at <= self.clock.now())
    }

    /// Passes on what a follower comes to next.
    pub(crate) async fn step<R: Receiver>(
        &self,
        receiver: &R,
        settling: &Settling,
    ) -> Result<Step> {
        let mut reader = self.db.reader().await?;
        let Some(follower) = follower::find(&mut reader, receiver.name()).await? else {
            return Ok(Step::Idle);
        };
        if !self.is_due(&follower) {
            return Ok(Step::Idle);
        }
        let Some(last) = settling.last(&mut reader).await? else {
            return Ok(Step::Idle);
        };
        if last <= follower.read {
            return Ok(Step::Idle);
        }
        let page = receiver.read(&mut reader, (follower.read, last)).await?;
        drop(reader);
        let is_empty = page.items.is_empty();
        let passed_on = match is_empty {
            true => Ok(()),
            false => receiver.pass_on(page.items).await,
        };
        let now = self.clock.now();
        match passed_on {
            Ok(()) => {
                report_success(&follower);
                let sent = (!is_empty).then_some(now);
                self.advance(&follower, page.reached, sent).await?;
                Ok(Step::Moved)
            }
            Err(error) => {
                report_failure(&follower, &error);
                let retry_at = now.plus(receiver.pause(follower.failures + 1));
                self.fail(&follower, error, (now, retry_at)).await?;
                Ok(Step::Failed)
            }
        }
    }

    async fn advance(&self, follower: &Follower, to: i64, sent: Option<Timestamp>) -> Result<()> {
        let name = follower.name.clone();
        let moved = self
            .db
            .write(move |tx| Box::pin(async move { follower::advance(tx, &name, to, sent).await }));
        Ok(moved.await?)
    }

    async fn fail(
        &self,
        follower: &Follower,
        error: String,
        times: (Timestamp, Timestamp),
    ) -> Result<()> {
        let name = follower.name.clone();
        let failed = self.db.write(move |tx| {
            Box::pin(async move { follower::fail(tx, &name, &error, times).await })
        });
        Ok(failed.await?)
    }
}

/// Logs that a receiver does not take what it is sent: the first time, and for each other cause.
fn report_failure(follower: &Follower, error: &str) {
    if follower.error != error {
        let (follower, failures) = (&*follower.name, follower.failures + 1);
        tracing::warn!(
            follower,
            failures,
            error,
            "the audit log cannot be passed on to this receiver: its entries wait"
        );
    }
}

fn report_success(follower: &Follower) {
    if follower.failures > 0 {
        let (follower, failures) = (&*follower.name, follower.failures);
        tracing::info!(
            follower,
            failures,
            "the audit log is passed on to this receiver again"
        );
    }
}

/// A delay that doubles with each failure, from one second to a minute.
pub(crate) fn doubling(failures: i64) -> Duration {
    let doubled = u32::try_from(failures.clamp(1, 7) - 1).unwrap_or_default();
    Duration::from_secs(60.min(1 << doubled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_further_and_further_apart_up_to_a_minute() {
        let seconds = [1, 2, 3, 6, 7, 100, i64::MAX].map(|failures| doubling(failures).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60]);
    }
}
