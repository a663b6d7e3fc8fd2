//! Makes the audit log's partitions for the following months, if it has partitions. Each start does that too.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::audit::partition;
use db::schedule::NewSchedule;
use model::Clock;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry};

/// Daily, two months ahead, so failures on some days do no harm.
const CRON: &str = "0 47 3 * * *";

/// Makes partitions ahead.
pub(crate) struct AuditPartition {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for AuditPartition {
    const KIND: &'static str = "audit_partition";
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(60),
        longest: Duration::from_secs(3_600),
    };
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.make().await.into()
    }
}

impl AuditPartition {
    /// The built-in schedule.
    pub(crate) fn schedule() -> NewSchedule {
        let cron = CRON.parse().expect("it has six fields");
        NewSchedule::of_kind(Self::KIND, Self::VERSION, cron)
    }

    async fn make(&self) -> Result<()> {
        let now = self.db.now(&*self.clock).await?;
        Ok(partition::make_ahead(&self.db, now).await?)
    }
}
