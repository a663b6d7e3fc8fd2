//! The job that runs an execution.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use db::execution::{self, Status, task};
use db::fence;
use db::job::LaneLimit;
use db::list::{Direction, Page, Selection, Test};
use db::registry as registries;
use db::replication::policy as policies;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::JobId;
use model::replication::{Direction as Way, Filters};
use remote::{Patience, Target};

use super::copy::Route;
use super::error::{Copied, CopyError};
use super::here::Here;
use super::order::Order;
use super::plan::Planning;
use super::site::Site;
use super::task::Running;
use super::works::Works;
use crate::engine::{Context, Job, Outcome, Retry};

/// Tasks of an execution that are worked on side by side.
const TASKS: usize = 4;
/// Tasks that are read at a time.
const PAGE: i64 = 100;

/// Runs executions.
pub(crate) struct ReplicationRun(pub(crate) Works);

impl Job for ReplicationRun {
    const KIND: &'static str = "replication";
    const LIMIT: i64 = 6;
    // No registry, such as one that hardly answers, and no policy keeps the others waiting.
    const LANE: LaneLimit = LaneLimit {
        group: 3,
        member: 2,
    };
    // What fails at other registries is tried again by each task.
    const RETRY: Retry = Retry {
        runs: 8,
        first: Duration::from_secs(2),
        longest: Duration::from_secs(60),
    };
    type Payload = Order;

    async fn run(&self, order: Order, context: &mut Context) -> Outcome {
        // What was stopped writes nothing more.
        let done = fence::until_cancelled(Box::pin(self.execute(&order, context.job()))).await;
        match done {
            // A job that another process has taken is ended by that one.
            Ok(()) | Err(CopyError::Stopped | CopyError::Database(db::Error::Fenced)) => {
                Outcome::Done(None)
            }
            Err(CopyError::Database(error)) => Outcome::Failed(error.into()),
            Err(error) => match self.fail(&order, error.to_string()).await {
                Ok(()) => Outcome::Done(Some(error.to_string())),
                Err(failed) => Outcome::Failed(failed),
            },
        }
    }
}

impl ReplicationRun {
    async fn execute(&self, order: &Order, job: JobId) -> Copied<()> {
        let mut reader = self.0.db.reader().await?;
        let found = execution::get(&mut reader, order.execution).await?;
        drop(reader);
        let Some(found) = found.filter(|found| !found.status.is_final()) else {
            return Ok(());
        };
        let route = self.route(order).await?;
        let filters = Filters::compile(&route.policy.filters)?;
        if !found.planned {
            let planning = Planning {
                works: &self.0,
                route: &route,
                filters: &filters,
                order,
            };
            Box::pin(planning.plan()).await?;
        }
        let running = Running {
            works: &self.0,
            route: &route,
            filters: &filters,
            order,
            job,
            is_down: AtomicBool::new(false),
        };
        Box::pin(self.work(&running)).await
    }

    async fn route(&self, order: &Order) -> Copied<Route> {
        let mut reader = self.0.db.reader().await?;
        let policy = policies::get(&mut reader, order.policy).await?;
        let policy = policy.ok_or(CopyError::Gone)?;
        let registry = registries::get(&mut reader, policy.registry).await?;
        let registry = registry.ok_or(CopyError::Gone)?;
        drop(reader);
        let target = Target::of(&registry, &self.0.master)?;
        let there = target.connect(self.0.guard.clone(), Patience::COPYING)?;
        let (here, there) = (Site::Here(Here(self.0.clone())), Site::There(there));
        let content = policy.content()?;
        let (source, target) = match content.direction {
            Way::Push => (here, there),
            Way::Pull => (there, here),
        };
        let ids = (order.policy, order.execution);
        Ok(Route::new(ids, content, source, target))
    }

    /// Works on the tasks that have not ended, until none is left.
    async fn work(&self, running: &Running<'_>) -> Copied<()> {
        loop {
            let open = Selection {
                page: Page {
                    offset: 0,
                    limit: Some(PAGE),
                },
                order: Some((task::ID, Direction::Up)),
                tests: Vec::new(),
            };
            let names = [Status::Pending, Status::Scheduled, Status::Running];
            let names = names.map(|status| status.name().to_owned());
            let open = open.with(task::STATUS, Test::AnyOf(names.to_vec()));
            let mut reader = self.0.db.reader().await?;
            let (tasks, _) = task::list(&mut reader, running.order.execution, &open).await?;
            drop(reader);
            if tasks.is_empty() {
                return Ok(());
            }
            stream::iter(tasks)
                .map(|waiting| async move { Box::pin(running.run(&waiting)).await })
                .buffer_unordered(TASKS)
                .try_collect::<()>()
                .await?;
        }
    }

    async fn fail(&self, order: &Order, message: String) -> crate::Result<()> {
        let (execution, now) = (order.execution, self.0.db.now(&*self.0.clock).await?);
        let failed = self.0.db.write(move |tx| {
            Box::pin(async move {
                execution::hold(tx, execution).await?;
                execution::fail(tx, execution, &message, now).await
            })
        });
        Ok(failed.await?)
    }
}
