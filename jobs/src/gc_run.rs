//! One pass of garbage collection that an administrator starts or schedules, in addition to the continuous collection:
//! it collects everything due at once, and deletes untagged manifests if requested.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use db::Db;
use db::gc::outlook;
use db::job_log::Level;
use model::Clock;
use registry::Registry;
use serde::{Deserialize, Serialize};

use crate::engine::{Context, Job, Outcome, Retry};
use crate::execution::{Execution, Ordered};
use crate::gc::{Progress, Settings};
use crate::once::Pass;
use crate::{Error, Result};

/// Manifests pushed within this time are not deleted for lack of a tag.
pub const WINDOW: Duration = Duration::from_secs(2 * 3_600);

/// Parameters of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Whether to delete untagged manifests in all projects.
    pub delete_untagged: bool,
    /// Whether to only report what would be deleted.
    pub dry_run: bool,
    /// The number of workers in Harbor; without effect, since a pass works in batches.
    pub workers: i64,
}

/// The result of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Bytes of the deleted objects.
    pub freed_space: u64,
    /// Blobs that were removed.
    pub purged_blobs: u64,
    /// Untagged manifests that were deleted.
    pub purged_manifests: u64,
}

/// Makes passes.
pub struct GcRun {
    pub(crate) db: Db,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
}

impl Job for GcRun {
    const KIND: &'static str = "gc_run";
    const RETRY: Retry = Retry {
        runs: 3,
        first: Duration::from_secs(30),
        longest: Duration::from_secs(300),
    };
    type Payload = Ordered<Parameters>;

    async fn run(&self, ordered: Ordered<Parameters>, context: &mut Context) -> Outcome {
        let parameters = ordered.parameters;
        let summary = match parameters.dry_run {
            true => self.look(context).await,
            false => self.collect(parameters, context).await,
        };
        match summary {
            Ok(summary) => Outcome::Done(serde_json::to_string(&summary).ok()),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Execution for GcRun {
    type Parameters = Parameters;
}

impl GcRun {
    async fn look(&self, context: &mut Context) -> Result<Summary> {
        let now = self.db.now(&*self.clock).await?;
        let found = outlook(&mut self.db.reader().await?, now).await?;
        let (links, objects) = (found.garbage_links, found.objects);
        context.log(
            Level::Info,
            format!(
                "dry run: {links} links of {} due ones would be removed",
                found.due_links
            ),
        );
        context.log(
            Level::Info,
            format!(
                "dry run: {} objects of {} bytes wait to be deleted",
                objects.objects, objects.bytes
            ),
        );
        Ok(Summary {
            freed_space: objects.bytes.try_into().unwrap_or_default(),
            purged_blobs: objects.objects.try_into().unwrap_or_default(),
            purged_manifests: 0,
        })
    }

    async fn collect(&self, parameters: Parameters, context: &mut Context) -> Result<Summary> {
        let progress: Arc<Progress> = Arc::default();
        let pass = Pass {
            db: self.db.clone(),
            registry: self.registry.clone(),
            clock: self.clock.clone(),
            gc: self.settings,
            progress: progress.clone(),
            untagged_everywhere: parameters.delete_untagged.then_some(WINDOW),
        };
        context.progress("collecting");
        if !pass.collect().await? {
            return Err(Error::Collecting);
        }
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let summary = Summary {
            freed_space: count(&progress.freed),
            purged_blobs: count(&progress.blobs),
            purged_manifests: count(&progress.untagged),
        };
        let Summary {
            freed_space,
            purged_blobs,
            purged_manifests,
        } = summary;
        context.log(
            Level::Info,
            format!(
                "{purged_blobs} blobs and {purged_manifests} manifests are actually deleted, {} links removed",
                count(&progress.links)
            ),
        );
        context.log(
            Level::Info,
            format!(
                "{} objects deleted, which frees up {freed_space} bytes",
                count(&progress.deleted)
            ),
        );
        Ok(summary)
    }
}
