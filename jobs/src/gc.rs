//! Garbage collection, always on: first removes unreferenced links and blobs without links, then deletes the objects of
//! removed blobs. Its cost follows the amount of garbage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use db::garbage::{self, Garbage};
use db::gc::{self, Reviewed};
use db::job_log::Level;
use db::{Db, installation, quota};
use model::{Clock, Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::instrument;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::failures::causes;

/// Settings from the settings file.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long the object of a removed blob is kept.
    pub hold: Duration,
    /// Maximum number of blobs to remove per minute; 0 for no limit.
    pub blobs_per_minute: u64,
}

/// Settings that operators can change at run time: stored in the database, the same for all replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// True while collection is paused.
    pub paused: bool,
    /// Overrides the settings file.
    pub blobs_per_minute: Option<u64>,
}

/// Totals of this process since its start.
#[derive(Debug, Default)]
pub struct Progress {
    /// Links removed.
    pub links: AtomicU64,
    /// Blobs removed.
    pub blobs: AtomicU64,
    /// Objects deleted.
    pub deleted: AtomicU64,
    /// Deletions of objects that failed.
    pub failed: AtomicU64,
    /// Rows that could not be read and were set aside.
    pub broken: AtomicU64,
    /// Bytes of the deleted objects.
    pub freed: AtomicU64,
    /// Untagged manifests deleted by a single pass.
    pub untagged: AtomicU64,
}

impl Progress {
    /// Describes what was removed since the earlier counts; `None` if nothing was.
    fn since(&self, before: [u64; 4]) -> Option<String> {
        let now = self.removed();
        let [links, blobs, objects, bytes] = std::array::from_fn(|at| now[at] - before[at]);
        (links + objects > 0).then(|| {
            format!("{links} links and {blobs} blobs removed, {objects} objects and {bytes} bytes deleted")
        })
    }

    fn removed(&self) -> [u64; 4] {
        [&self.links, &self.blobs, &self.deleted, &self.freed].map(|of| of.load(Ordering::Relaxed))
    }
}

/// The name in the database of the [`Control`].
const CONTROL: &str = "gc-control";
/// Links to review per transaction.
const LINKS: i64 = 250;
/// Objects to delete at a time.
const OBJECTS: i64 = 1_000;
/// Projects to refund at a time.
const PROJECTS: i64 = 100;
/// Batch limit of a throttled collection on SQLite, where other writers wait for the whole batch.
const SHORT: i64 = 20;
/// Batch limit on PostgreSQL, where each batch has a fixed cost and only transactions on the same blobs wait.
const LONG: i64 = 100;
/// How long it runs before it reads its settings again.
const SPELL: Duration = Duration::from_secs(1);
/// A request of a throttled collection deletes at most the share of this time.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Reads the run-time settings.
///
/// # Errors
/// When the database cannot be read.
pub async fn control(db: &Db) -> Result<Control> {
    let mut tx = db.reader().await?;
    let stored = installation::get(&mut tx, CONTROL).await?;
    // A setting that cannot be read may have been meant to pause it.
    let stopped = Control {
        paused: true,
        ..Control::default()
    };
    Ok(stored.map_or_else(Control::default, |json| {
        serde_json::from_slice(&json).unwrap_or(stopped)
    }))
}

/// Changes the run-time settings of all replicas.
///
/// # Errors
/// When the database cannot be written.
pub async fn steer(
    db: &Db,
    permit: &SystemPermit,
    control: Control,
    now: Timestamp,
) -> db::Result<()> {
    let json = serde_json::to_string(&control).unwrap_or_default();
    let subject =
        Subject::Installation(ResourceType::Configuration, "garbage collection".to_owned());
    let origin = permit.caller().origin();
    let event = Event::new(now, origin, Operation::Update, subject).with_detail(json.clone());
    db.write(move |tx| {
        Box::pin(async move {
            installation::put(tx, CONTROL, json.as_bytes()).await?;
            tx.record(&event).await
        })
    })
    .await
}

/// Collects garbage.
#[derive(Clone)]
pub struct Gc {
    /// The database.
    pub db: Db,
    /// The registry whose store holds the objects.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rate and hold time.
    pub settings: Settings,
    /// Counts of removed items.
    pub progress: Arc<Progress>,
}

impl Job for Gc {
    const KIND: &'static str = "gc";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), context: &mut Context) -> Outcome {
        let before = self.progress.removed();
        let collected = self.collect_in_spells().await;
        let removed = self.progress.since(before);
        if let Some(removed) = &removed {
            context.log(Level::Info, removed);
        }
        match collected {
            Ok(()) => Outcome::Done(removed),
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Standing for Gc {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        if control(&self.db).await?.paused {
            return Ok(false);
        }
        let mut tx = self.db.reader().await?;
        Ok(gc::is_due(&mut tx, self.clock.now()).await?)
    }
}

impl Gc {
    /// Collects all that is due without a rate limit, paused or not.
    pub(crate) async fn collect_unbounded(&self) -> Result<()> {
        while self.collect_in_turns(0).await? {}
        self.add_refunds().await
    }

    async fn collect_in_spells(&self) -> Result<()> {
        loop {
            let control = control(&self.db).await?;
            if control.paused {
                return Ok(());
            }
            let rate = control
                .blobs_per_minute
                .unwrap_or(self.settings.blobs_per_minute);
            let more = self.collect_in_turns(rate).await;
            self.add_refunds().await?;
            if !more? {
                return Ok(());
            }
        }
    }

    /// Alternates between reviewing links and deleting objects, so that the rate limits both. Returns true if more is
    /// due when the time is over.
    async fn collect_in_turns(&self, rate: u64) -> Result<bool> {
        let longest = if self.db.is_shared() { LONG } else { SHORT };
        let end = Instant::now() + SPELL;
        loop {
            let turn = Turn::begin(rate, longest);
            let (looked_at, gone) = self.delete_garbage(&turn).await?;
            let reviewed = self.review_links(turn.links, gone).await?;
            // Objects of blobs removed now may be deleted in the next batch.
            let more = reviewed.looked_at as i64 == turn.links
                || looked_at as i64 == turn.objects
                || reviewed.blobs > 0 && self.settings.hold.is_zero();
            if !more {
                return Ok(false);
            }
            turn.pace(reviewed.unlinked.max(looked_at)).await;
            if Instant::now() >= end {
                return Ok(true);
            }
        }
    }

    /// Reviews links, and drops the rows of deleted objects, in one commit.
    #[instrument(name = "gc.links.review", level = "debug", skip_all)]
    async fn review_links(&self, limit: i64, gone: Vec<String>) -> Result<Reviewed> {
        let (now, hold) = (self.db.now(&*self.clock).await?, self.settings.hold);
        let reviewed = self.db.write(move |tx| {
            Box::pin(async move {
                garbage::forget(tx, &gone).await?;
                gc::review(tx, now, hold, limit).await
            })
        });
        let reviewed = reviewed.await?;
        let progress = &self.progress;
        for (counter, count) in [
            (&progress.links, reviewed.unlinked),
            (&progress.blobs, reviewed.blobs),
            (&progress.broken, reviewed.broken),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
        Ok(reviewed)
    }

    /// Adds refunds to the projects' quotas.
    async fn add_refunds(&self) -> Result<()> {
        let mut tx = self.db.reader().await?;
        let waiting = quota::waiting(&mut tx, PROJECTS).await?;
        drop(tx);
        for project in waiting {
            let held = self.db.write(move |tx| Box::pin(quota::hold(tx, project)));
            held.await?;
        }
        Ok(())
    }

    /// Deletes the objects of removed blobs. Returns how many were processed, and the keys of those deleted. One that
    /// cannot be deleted does not block others: it is retried later.
    #[instrument(name = "gc.objects.delete", level = "debug", skip_all)]
    async fn delete_garbage(&self, turn: &Turn) -> Result<(u64, Vec<String>)> {
        let now = self.db.now(&*self.clock).await?;
        let mut tx = self.db.reader().await?;
        let due = garbage::due(&mut tx, now, turn.objects).await?;
        drop(tx);
        let (mut looked_at, mut gone) = (0, Vec::new());
        for some in due.chunks(turn.at_once) {
            turn.pace(looked_at).await;
            self.delete_objects(some, &mut gone).await?;
            looked_at += some.len() as u64;
        }
        if !gone.is_empty() {
            tracing::info!(objects = gone.len(), "collected garbage");
        }
        Ok((looked_at, gone))
    }

    /// Deletes objects, and adds the keys of those deleted to `gone`.
    async fn delete_objects(&self, objects: &[Garbage], gone: &mut Vec<String>) -> Result<()> {
        let store = self.registry.store();
        let (unfinished, finished): (Vec<&Garbage>, Vec<&Garbage>) =
            objects.iter().partition(|object| object.unfinished);
        let keys: Vec<String> = finished.iter().map(|object| object.key.clone()).collect();
        let mut failed = match keys.is_empty() {
            true => Vec::new(),
            false => store.delete(&keys).await?,
        };
        for object in unfinished {
            if let Err(error) = store.discard(&object.key).await {
                failed.push((object.key.clone(), error));
            }
        }
        let is_gone = |object: &&Garbage| !failed.iter().any(|(key, _)| *key == object.key);
        for object in objects.iter().filter(is_gone) {
            self.progress.deleted.fetch_add(1, Ordering::Relaxed);
            self.progress
                .freed
                .fetch_add(object.size, Ordering::Relaxed);
            gone.push(object.key.clone());
        }
        self.put_off(failed).await
    }

    async fn put_off(&self, failed: Vec<(String, storage::Error)>) -> Result<()> {
        let now = self.db.now(&*self.clock).await?;
        for (key, error) in failed {
            let cause = causes(&error);
            tracing::warn!(object.key = key, %error, cause, "an object cannot be deleted now");
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
            let put_off = self.db.write(move |tx| {
                Box::pin(async move { garbage::put_off(tx, &key, &cause, now).await })
            });
            put_off.await?;
        }
        Ok(())
    }
}

/// A batch of a collection: its sizes and its earliest end.
struct Turn {
    /// Blobs per minute; 0 for no limit.
    rate: u64,
    began: Instant,
    links: i64,
    objects: i64,
    /// Objects to delete per request, which keeps the store busy meanwhile.
    at_once: usize,
}

impl Turn {
    /// A throttled batch has at most one second's share, in requests of at most the share of [`AT_ONCE`], to avoid
    /// bursts.
    fn begin(rate: u64, longest: i64) -> Self {
        let within = |time: Duration| rate.saturating_mul(time.as_millis() as u64) / 60_000;
        let (links, objects, at_once) = match rate {
            0 => (LINKS, OBJECTS, OBJECTS as usize),
            _ => {
                let all = i64::try_from(within(SPELL)).unwrap_or(longest);
                let all = all.clamp(1, longest);
                (all, all, within(AT_ONCE).max(1) as usize)
            }
        };
        Self {
            rate,
            began: Instant::now(),
            links,
            objects,
            at_once,
        }
    }

    /// Waits until the rate permits this much since the batch began.
    async fn pace(&self, done: u64) {
        if self.rate > 0 {
            let takes = Duration::from_secs_f64(done as f64 * 60.0 / self.rate as f64);
            tokio::time::sleep_until(self.began + takes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_collection_takes_small_turns() {
        let turn = |rate, longest| {
            let turn = Turn::begin(rate, longest);
            (turn.links, turn.objects, turn.at_once)
        };
        assert_eq!(turn(0, SHORT), (250, 1_000, 1_000));
        assert_eq!(turn(30_000, SHORT), (20, 20, 25));
        assert_eq!(turn(5_000, LONG), (83, 83, 4));
        assert_eq!(turn(600, SHORT), (10, 10, 1));
        assert_eq!(turn(10, SHORT), (1, 1, 1));
    }
}
