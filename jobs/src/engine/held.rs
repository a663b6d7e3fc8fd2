//! A job that this process holds: its lease is renewed until the job is released or lost.

use std::sync::Arc;
use std::time::Duration;

use db::fence;
use db::job::{Claimed, LEASE, Renewed, State};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::context::{Context, Notes};
use super::queue::{End, Queue};
use crate::{Error, Result};

/// Time between renewals.
const RENEWAL: Duration = Duration::from_secs(LEASE.as_secs() / 5);
/// Time between attempts to take a standing job.
const RETRY: Duration = Duration::from_millis(200);

/// A held job. A crashed process keeps others waiting for [`LEASE`].
pub(crate) struct Held {
    queue: Queue,
    pub(super) claimed: Claimed,
    notes: Arc<Mutex<Notes>>,
    lost: CancellationToken,
    cancelled: CancellationToken,
    renewal: AbortOnDropHandle<()>,
}

/// How to wait for a standing job that another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Wait until it is released.
    Waiting,
    /// Ask the holder to stop. Servers do, commands do not.
    Asking,
}

impl Held {
    pub(super) fn new(queue: Queue, claimed: Claimed) -> Self {
        let notes = Arc::<Mutex<Notes>>::default();
        let (lost, cancelled) = (CancellationToken::new(), CancellationToken::new());
        let renewal = Renewal {
            queue: queue.clone(),
            fence: claimed.fence,
            notes: notes.clone(),
            lost: lost.clone(),
            cancelled: cancelled.clone(),
        };
        Self {
            queue,
            claimed,
            notes,
            lost,
            cancelled,
            renewal: AbortOnDropHandle::new(tokio::spawn(renewal.run())),
        }
    }

    /// Takes a standing job, for work that must not run in parallel with it; `None` if another process holds it for
    /// longer than `patience`.
    pub(crate) async fn take(
        queue: &Queue,
        kind: &'static str,
        patience: Duration,
        manner: Manner,
    ) -> Result<Option<Self>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(claimed) = queue.take_standing(kind).await? {
                return Ok(Some(Self::new(queue.clone(), claimed)));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            if manner == Manner::Asking {
                queue.ask_to_stop(kind).await?;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Does work while the job is held, and releases the job.
    ///
    /// # Errors
    /// Those of the work, [`Error::LeaseLost`] and [`Error::Cancelled`].
    pub(crate) async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            () = self.lost.cancelled() => return Err(Error::LeaseLost),
            () = self.cancelled.cancelled() => Err(Error::Cancelled(self.claimed.fence.job)),
            done = fence::within(self.claimed.fence, work) => done,
        };
        let end = self.released(Duration::ZERO);
        // Otherwise the lease expires.
        if let Err(error) = self.end(end).await {
            tracing::warn!(%error, "a job cannot be released: others wait until its lease expires");
        }
        done
    }

    /// Log and progress of the run.
    pub(super) fn context(&self) -> Context {
        let job = self.claimed.fence.job;
        Context::new(job, self.notes.clone(), self.queue.clock().clone())
    }

    /// Waits until the lease is lost.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Waits until the job is cancelled.
    pub(super) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// An end that restores the state before the run.
    pub(super) fn released(&self, again_in: Duration) -> End {
        End {
            state: State::Queued,
            again_in: Some(again_in),
            attempts: self.claimed.attempts - 1,
            result: None,
            error: self.claimed.last_error.clone(),
        }
    }

    /// Ends the run; returns false if another process has taken the job.
    pub(super) async fn end(self, end: End) -> Result<bool> {
        drop(self.renewal);
        let lines = std::mem::take(&mut self.notes.lock().lines);
        self.queue.end(self.claimed.fence, end, lines).await
    }
}

/// Renews a lease, until it is lost to another holder, or because the database did not answer for as long as it lasts.
struct Renewal {
    queue: Queue,
    fence: fence::Fence,
    notes: Arc<Mutex<Notes>>,
    lost: CancellationToken,
    cancelled: CancellationToken,
}

impl Renewal {
    async fn run(self) {
        let mut held_until = Instant::now() + LEASE;
        loop {
            tokio::time::sleep(RENEWAL).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(held_until, self.renew()).await {
                Ok(Ok(Renewed::Lost)) | Err(_) => return self.lost.cancel(),
                Ok(Ok(renewed)) => {
                    held_until = asked + LEASE;
                    if renewed == Renewed::Cancelled {
                        self.cancelled.cancel();
                    }
                }
                Ok(Err(error)) if Instant::now() < held_until => {
                    tracing::warn!(%error, "a lease cannot be renewed yet");
                }
                Ok(Err(_)) => return self.lost.cancel(),
            }
        }
    }

    async fn renew(&self) -> Result<Renewed> {
        let (progress, lines) = {
            let mut notes = self.notes.lock();
            (notes.progress.clone(), std::mem::take(&mut notes.lines))
        };
        let renewed = self.queue.renew(self.fence, progress, lines.clone()).await;
        if renewed.is_err() {
            self.notes.lock().lines.splice(0..0, lines);
        }
        renewed
    }
}
