//! Garbage collection, always on: links that nothing refers to any more go first, and blobs without links
//! with them, then the objects that were given up. What it costs follows the garbage.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use db::garbage::{self, Garbage};
use db::gc::{self, Reviewed};
use db::{quota, setting};
use model::{Event, Operation, ResourceType, Subject, Timestamp};
use policy::SystemPermit;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::instrument;

use crate::failures::causes;
use crate::{Jobs, Result};

/// What an operator may change in the settings file.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long the object of a removed blob is kept.
    pub hold: Duration,
    /// Blobs that are removed in a minute at most; 0 for no bound.
    pub blobs_per_minute: u64,
}

/// What an operator may change while it runs: kept in the database, the same for all replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// Whether nothing is collected for now.
    pub paused: bool,
    /// In place of the settings file's.
    pub blobs_per_minute: Option<u64>,
}

/// What this process has collected since its start.
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
    /// Bytes of those.
    pub freed: AtomicU64,
    /// Whether it collects at this moment.
    pub running: AtomicBool,
}

/// The setting that holds the [`Control`].
const CONTROL: &str = "gc-control";
/// Links that are reviewed in one transaction.
const LINKS: i64 = 250;
/// Objects that are deleted at once.
const OBJECTS: i64 = 1_000;
/// Projects whose refunds are added at a time.
const PROJECTS: i64 = 100;
/// Links or objects that a turn of a throttled collection takes at most on SQLite, whose clients wait as long
/// as it takes.
const SHORT: i64 = 20;
/// The same on PostgreSQL, where each turn has its cost and only who wants the same blobs waits for it.
const LONG: i64 = 100;
/// How long it goes on before it looks again how it is steered.
const SPELL: Duration = Duration::from_secs(1);
/// One request of a throttled collection deletes what may be deleted in this time.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How the collection is steered.
///
/// # Errors
/// When the database cannot be read.
pub async fn control(db: &db::Db) -> Result<Control> {
    let mut tx = db.reader().await?;
    let stored = setting::get(&mut tx, CONTROL).await?;
    // What cannot be read may have meant to stop it.
    let stopped = Control {
        paused: true,
        ..Control::default()
    };
    Ok(stored.map_or_else(Control::default, |json| {
        serde_json::from_slice(&json).unwrap_or(stopped)
    }))
}

/// Steers the collection of all replicas.
///
/// # Errors
/// When the database cannot be written.
pub async fn steer(
    db: &db::Db,
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
            setting::put(tx, CONTROL, json.as_bytes()).await?;
            tx.record(&event).await
        })
    })
    .await
}

impl Jobs {
    /// Collects all that is due.
    ///
    /// # Errors
    /// When the database or the store fails; the rest is collected the next time.
    pub async fn collect_garbage(&self) -> Result<()> {
        let collected = self.collect_in_spells().await;
        self.progress.running.store(false, Ordering::Relaxed);
        collected
    }

    /// Collects all that is due without a bound, paused or not.
    pub(crate) async fn collect_unbounded(&self) -> Result<()> {
        while self.collect_in_turns(0).await? {}
        self.add_refunds().await
    }

    async fn collect_in_spells(&self) -> Result<()> {
        loop {
            let control = control(&self.db).await?;
            if control.paused || !self.leads("gc").await? {
                return Ok(());
            }
            self.progress.running.store(true, Ordering::Relaxed);
            let rate = control.blobs_per_minute.unwrap_or(self.gc.blobs_per_minute);
            let more = self.collect_in_turns(rate).await;
            self.add_refunds().await?;
            if !more? {
                return Ok(());
            }
        }
    }

    /// Reviews links and deletes objects by turns, so that a rate bounds both at once; whether more is
    /// due when a spell is over.
    async fn collect_in_turns(&self, rate: u64) -> Result<bool> {
        let longest = if self.db.is_shared() { LONG } else { SHORT };
        let end = Instant::now() + SPELL;
        loop {
            let turn = Turn::begin(rate, longest);
            let (looked_at, gone) = self.delete_garbage(&turn).await?;
            let reviewed = self.review_links(turn.links, gone).await?;
            // What was given up now may be deleted in the next turn.
            let more = reviewed.looked_at as i64 == turn.links
                || looked_at as i64 == turn.objects
                || reviewed.blobs > 0 && self.gc.hold.is_zero();
            if !more {
                return Ok(false);
            }
            turn.pace(reviewed.unlinked.max(looked_at)).await;
            if Instant::now() >= end {
                return Ok(true);
            }
        }
    }

    /// Reviews links, and forgets objects that are gone: one commit for both.
    #[instrument(name = "gc.links.review", level = "debug", skip_all)]
    async fn review_links(&self, limit: i64, gone: Vec<String>) -> Result<Reviewed> {
        let (now, hold) = (self.db.now(&*self.clock).await?, self.gc.hold);
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

    /// Adds to the projects' room what was given back.
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

    /// Deletes objects that were given up: how many were looked at, and the keys of those that are gone. One
    /// that cannot be deleted holds up no other: it is tried again later.
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

    /// Deletes objects; the keys of those that are gone are added to `gone`.
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

/// A turn of a collection: what it takes, and when that may be done.
struct Turn {
    /// Blobs a minute; 0 for no bound.
    rate: u64,
    began: Instant,
    links: i64,
    objects: i64,
    /// Objects that are deleted by one request, which keeps a store busy for as long as they take.
    at_once: usize,
}

impl Turn {
    /// A throttled turn takes what a second may take, by requests of what [`AT_ONCE`] allows, so that it
    /// does not work in bursts.
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

    /// Waits until so much may have been done since the turn began.
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
