//! The job by which schedules start policies.

use std::time::Duration;

use db::Tx;
use db::execution::Cause;
use db::replication::policy as policies;
use model::ReplicationPolicyId;
use model::replication::{ScheduledRun, TriggerKind};

use super::start::{Wanted, begin, running_by};
use super::works::Works;
use crate::engine::{Context, Job, Outcome, Retry};
use crate::{Error, Result};

/// Starts policies.
pub(crate) struct ScheduledStart(pub(crate) Works);

impl Job for ScheduledStart {
    const KIND: &'static str = ScheduledRun::JOB;
    const VERSION: i64 = ScheduledRun::VERSION;
    const LIMIT: i64 = 4;
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(2),
        longest: Duration::from_secs(60),
    };
    type Payload = ScheduledRun;

    async fn run(&self, run: ScheduledRun, _: &mut Context) -> Outcome {
        match self.start(run).await {
            Ok(()) => Outcome::Done(None),
            // Deleted or disabled since it was due.
            Err(Error::Tenancy(error)) => Outcome::Hopeless(error.into()),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl ScheduledStart {
    async fn start(&self, run: ScheduledRun) -> Result<()> {
        let now = self.0.db.now(&*self.0.clock).await?;
        let wanted = Wanted::of(run.policy, Cause::Schedule);
        let origin = Works::caller().origin();
        let begun = self.0.db.write(move |tx| {
            Box::pin(async move {
                // Another one would copy the same things beside it.
                if is_looking(tx, wanted.policy).await? {
                    return Ok(());
                }
                begin(tx, wanted, &origin, now).await.map(drop)
            })
        });
        begun.await
    }
}

/// Whether the hourly run of a policy that events start still goes on.
async fn is_looking(tx: &mut Tx, policy: ReplicationPolicyId) -> Result<bool> {
    let found = policies::get(tx, policy).await?;
    let is_hourly = found.is_some_and(|found| found.trigger == TriggerKind::EventBased);
    Ok(is_hourly && running_by(tx, policy, Cause::Schedule).await? > 0)
}
