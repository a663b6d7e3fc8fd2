//! One run of a job, from the claim to the release.

use std::time::{Duration, Instant};

use db::fence;
use db::job::{Claimed, State};
use db::job_log::Level;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field};

use super::chance;
use super::held::Held;
use super::kind::{Kind, Outcome};
use super::queue::{End, Queue};
use crate::Error;
use crate::failures::{Report, causes};

/// How long a standing job without work is kept: taking it again costs two writes.
const LINGER: Duration = Duration::from_secs(3);
/// How long a cancelled standing job pauses, so that the process that asked for it can take it.
const AFTER_CANCEL: Duration = Duration::from_secs(5);

/// Runs a claimed job.
pub(super) async fn run(kind: &Kind, claimed: Claimed, queue: Queue, stop: &CancellationToken) {
    let held = Held::new(queue, claimed);
    let ended = loop {
        let ended = run_until_stopped(kind, &held, stop).await;
        let is_done = matches!(ended, Ended::Ran(Outcome::Done(_)));
        if !is_done || !linger(kind, &held, stop).await {
            break ended;
        }
    };
    let job = held.claimed.fence.job;
    let end = end_of(kind, &held, ended);
    let Some(end) = end else {
        tracing::info!(job.name = kind.name, job.id = %job, "another process has taken over a job");
        return;
    };
    // Otherwise its lease expires, and it runs again.
    if let Err(error) = held.end(end).await {
        let cause = causes(&error);
        tracing::warn!(job.name = kind.name, job.id = %job, cause, "the end of a job cannot be recorded");
    }
}

/// How a run ended.
enum Ended {
    /// By itself.
    Ran(Outcome),
    /// The process stops.
    Stopped,
    /// The job was cancelled.
    Cancelled,
    /// The lease is lost.
    Lost,
}

async fn run_until_stopped(kind: &Kind, held: &Held, stop: &CancellationToken) -> Ended {
    if held.claimed.attempts > kind.retry.runs {
        return Ended::Ran(Outcome::Hopeless(Error::Abandoned(kind.retry.runs)));
    }
    let mut context = held.context();
    let work = kind.run(&held.claimed.payload, &mut context);
    let work = fence::within(held.claimed.fence, work).instrument(span(kind.name));
    let (_running, began) = (kind.stats.begin(), Instant::now());
    let ended = tokio::select! {
        () = stop.cancelled() => Ended::Stopped,
        () = held.lost() => Ended::Lost,
        () = held.cancelled() => Ended::Cancelled,
        outcome = work => Ended::Ran(outcome),
    };
    let failed = matches!(ended, Ended::Ran(Outcome::Failed(_) | Outcome::Hopeless(_)));
    kind.stats.ended(began.elapsed(), failed);
    ended
}

/// Waits a short time for more work; returns true if there is some.
async fn linger(kind: &Kind, held: &Held, stop: &CancellationToken) -> bool {
    let Some(every) = kind.every.filter(|every| *every < LINGER) else {
        return false;
    };
    let until = Instant::now() + LINGER;
    while Instant::now() < until {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = held.lost() => return false,
            () = held.cancelled() => return false,
            () = tokio::time::sleep(every) => {}
        }
        if kind.look().await {
            return true;
        }
    }
    false
}

fn span(name: &'static str) -> Span {
    let span = tracing::debug_span!("job.run", otel.name = field::Empty, job.name = name);
    if !span.is_disabled() {
        span.record("otel.name", format!("job.{name}.run"));
    }
    span
}

/// What to record after a run; `None` if another process has taken the job.
fn end_of(kind: &Kind, held: &Held, ended: Ended) -> Option<End> {
    Some(match ended {
        Ended::Lost => return None,
        Ended::Ran(Outcome::Failed(error)) if is_fenced(&error) => return None,
        Ended::Stopped => held.released(Duration::ZERO),
        Ended::Cancelled if kind.is_standing() => held.released(AFTER_CANCEL),
        Ended::Cancelled => End {
            state: State::Cancelled,
            again_in: None,
            ..held.released(Duration::ZERO)
        },
        Ended::Ran(Outcome::Done(result)) => done(kind, result),
        Ended::Ran(Outcome::Failed(error)) if held.claimed.attempts < kind.retry.runs => {
            failed(kind, held, &error)
        }
        // A standing job never fails for good.
        Ended::Ran(Outcome::Hopeless(error)) if kind.is_standing() => failed(kind, held, &error),
        Ended::Ran(Outcome::Failed(error) | Outcome::Hopeless(error)) => {
            failed_finally(kind, held, &error)
        }
    })
}

/// True if a write failed because another process has taken the job.
fn is_fenced(error: &Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
        .any(|error| matches!(error.downcast_ref(), Some(db::Error::Fenced)))
}

fn done(kind: &Kind, result: Option<String>) -> End {
    if let Some(Report { failures, seconds }) = kind.failures.lock().succeeded(Instant::now()) {
        tracing::info!(job.name = kind.name, failures, seconds, "a job runs again");
    }
    End {
        state: match kind.every {
            Some(_) => State::Queued,
            None => State::Done,
        },
        again_in: kind.every,
        attempts: 0,
        result,
        error: None,
    }
}

fn failed(kind: &Kind, held: &Held, error: &Error) -> End {
    let (cause, attempts) = (causes(error), held.claimed.attempts);
    let wait = kind.retry.wait(attempts, chance());
    let reported = kind.failures.lock().failed(&cause, Instant::now());
    if let Some(Report { failures, seconds }) = reported {
        let message = "a job failed and will run again";
        tracing::warn!(job.name = kind.name, failures, seconds, cause, "{message}");
    }
    let line = format!("failed: {cause}; retry in {} s", wait.as_secs());
    held.context().log(Level::Error, line);
    End {
        state: State::Queued,
        again_in: Some(wait),
        attempts,
        result: None,
        error: Some(cause),
    }
}

fn failed_finally(kind: &Kind, held: &Held, error: &Error) -> End {
    let cause = causes(error);
    let job = held.claimed.fence.job;
    tracing::warn!(job.name = kind.name, job.id = %job, cause, "a job failed and is not retried");
    held.context()
        .log(Level::Error, format!("failed, not retried: {cause}"));
    End {
        state: State::Failed,
        again_in: None,
        attempts: held.claimed.attempts,
        result: None,
        error: Some(cause),
    }
}
