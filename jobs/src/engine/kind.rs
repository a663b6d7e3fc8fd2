//! What a job is: the code that runs the jobs of one kind, and how the engine calls it.

use std::sync::Arc;
use std::time::Duration;

use db::job::{LaneLimit, Runs};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::instrument;

use super::context::Context;
use super::retry::Retry;
use super::stats::KindStats;

use crate::failures::Failures;
use crate::{Error, Result};

/// Runs the jobs of one kind.
///
/// A run may be dropped at any `await`: when the job is cancelled, when its lease is lost, and when the process stops.
/// Later it starts from the beginning, perhaps in another process. So each step must be a transaction, or harmless to
/// repeat, and every run begins by finding out what is left to do. All transactions of a run carry the job's fencing
/// number, see [`db::fence`]; tasks that it spawns do not.
pub trait Job: Send + Sync + 'static {
    /// The kind's name in tables, metrics, spans and commands.
    const KIND: &'static str;
    /// The newest form of the payload that this code reads. Newer jobs are left to newer replicas.
    const VERSION: i64 = 1;
    /// Maximum number of jobs of the kind running at a time, on all replicas together.
    const LIMIT: i64 = 1;
    /// Maximum numbers of running jobs of one lane, for kinds that are shared fairly.
    const LANE: LaneLimit = LaneLimit::NONE;
    /// When and how often a failed job is retried.
    const RETRY: Retry;
    /// The input of a job, stored as JSON.
    type Payload: DeserializeOwned + Send + 'static;

    /// Runs a job.
    fn run(
        &self,
        payload: Self::Payload,
        context: &mut Context,
    ) -> impl Future<Output = Outcome> + Send;
}

/// A job that is always there: whenever there is work, one replica does it.
pub trait Standing: Job<Payload = ()> {
    /// Time between two runs.
    const EVERY: Duration;

    /// True if there is work. Must not write.
    fn is_wanted(&self) -> impl Future<Output = Result<bool>> + Send;
}

/// The result of a run.
#[derive(Debug)]
pub enum Outcome {
    /// It succeeded, with a summary for operators.
    Done(Option<String>),
    /// It failed, but may succeed later.
    Failed(Error),
    /// It can never succeed.
    Hopeless(Error),
}

impl From<Result<()>> for Outcome {
    fn from(done: Result<()>) -> Self {
        match done {
            Ok(()) => Self::Done(None),
            Err(error) => Self::Failed(error),
        }
    }
}

/// A kind of jobs as the engine has it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    version: i64,
    pub(super) limit: i64,
    pub(super) lane: LaneLimit,
    pub(super) retry: Retry,
    /// Time between two runs of a standing job.
    pub(super) every: Option<Duration>,
    code: Arc<dyn Code>,
    pub(super) stats: Arc<KindStats>,
    pub(super) failures: Mutex<Failures>,
    /// When to check for work again.
    look_at: Mutex<Option<Instant>>,
}

impl Kind {
    pub(super) fn new<J: Job>(job: J, stats: Arc<KindStats>) -> Self {
        Self::of::<J>(Arc::new(Once(job)), None, stats)
    }

    pub(super) fn standing<J: Standing>(job: J, stats: Arc<KindStats>) -> Self {
        Self::of::<J>(Arc::new(Always(job)), Some(J::EVERY), stats)
    }

    fn of<J: Job>(code: Arc<dyn Code>, every: Option<Duration>, stats: Arc<KindStats>) -> Self {
        Self {
            name: J::KIND,
            version: J::VERSION,
            limit: J::LIMIT,
            lane: J::LANE,
            retry: J::RETRY,
            every,
            code,
            stats,
            failures: Mutex::default(),
            look_at: Mutex::default(),
        }
    }

    pub(super) const fn is_standing(&self) -> bool {
        self.every.is_some()
    }

    pub(super) const fn runs(&self) -> Runs {
        Runs {
            kind: self.name,
            version: self.version,
        }
    }

    /// True if there is work. If there is none, it is not checked again for the time between two runs.
    pub(super) async fn is_wanted(&self, now: Instant) -> bool {
        let Some(every) = self.every else { return true };
        if self.look_at.lock().is_some_and(|at| now < at) {
            return false;
        }
        let is_wanted = self.look().await;
        *self.look_at.lock() = (!is_wanted).then(|| now + every);
        is_wanted
    }

    /// True if there is work now. If the check fails, the run will fail too, and report the error.
    #[instrument(name = "job.work.look", level = "debug", skip_all, fields(job.name = self.name))]
    pub(super) async fn look(&self) -> bool {
        self.code.is_wanted().await.unwrap_or(true)
    }

    pub(super) async fn run(&self, payload: &str, context: &mut Context) -> Outcome {
        let run = self.code.run(payload, context);
        let caught = std::panic::AssertUnwindSafe(run).catch_unwind().await;
        caught.unwrap_or(Outcome::Failed(Error::Panicked))
    }
}

/// A [`Job`], whatever its payload.
trait Code: Send + Sync {
    fn run<'a>(&'a self, payload: &'a str, context: &'a mut Context) -> BoxFuture<'a, Outcome>;

    fn is_wanted(&self) -> BoxFuture<'_, Result<bool>>;
}

/// A job that runs once.
struct Once<J>(J);
/// A job that is always there.
struct Always<J>(J);

impl<J: Job> Code for Once<J> {
    fn run<'a>(&'a self, payload: &'a str, context: &'a mut Context) -> BoxFuture<'a, Outcome> {
        Box::pin(parse_and_run(&self.0, payload, context))
    }

    fn is_wanted(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async { Ok(true) })
    }
}

impl<J: Standing> Code for Always<J> {
    fn run<'a>(&'a self, payload: &'a str, context: &'a mut Context) -> BoxFuture<'a, Outcome> {
        Box::pin(parse_and_run(&self.0, payload, context))
    }

    fn is_wanted(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.0.is_wanted())
    }
}

async fn parse_and_run<J: Job>(job: &J, payload: &str, context: &mut Context) -> Outcome {
    match serde_json::from_str(payload) {
        Ok(payload) => job.run(payload, context).await,
        Err(error) => Outcome::Hopeless(Error::Payload(error)),
    }
}
