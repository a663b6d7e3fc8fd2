//! Garbage collection, always on: links that nothing refers to any more go first, then blobs without
//! links, then their objects. What it costs follows the garbage.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use db::gc::{self, Condemned, Reviewed};
use db::{quota, setting};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::instrument;

use crate::{Jobs, Result};

/// What an operator may change in the settings file.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long the object of a condemned blob is kept.
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
    /// Blobs condemned.
    pub condemned: AtomicU64,
    /// Objects deleted.
    pub deleted: AtomicU64,
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
pub async fn steer(tx: &mut db::Tx, control: Control) -> db::Result<()> {
    let json = serde_json::to_vec(&control).unwrap_or_default();
    setting::put(tx, CONTROL, &json).await
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
            let condemned = self.delete_condemned(&turn).await?;
            let deleted = condemned.len() as u64;
            let reviewed = self.review_links(turn.links, condemned).await?;
            // What was condemned now may be deleted in the next turn.
            let more = reviewed.looked_at as i64 == turn.links
                || deleted as i64 == turn.objects
                || reviewed.condemned > 0;
            if !more {
                return Ok(false);
            }
            turn.pace(reviewed.unlinked.max(deleted)).await;
            if Instant::now() >= end {
                return Ok(true);
            }
        }
    }

    /// Reviews links, and forgets blobs whose objects are gone: one commit for both.
    #[instrument(name = "gc.links.review", level = "debug", skip_all)]
    async fn review_links(&self, limit: i64, deleted: Vec<Condemned>) -> Result<Reviewed> {
        let now = self.clock.now();
        let reviewed = self.db.write(move |tx| {
            Box::pin(async move {
                gc::forget(tx, &deleted).await?;
                gc::review(tx, now, limit).await
            })
        });
        let reviewed = reviewed.await?;
        let progress = &self.progress;
        progress
            .links
            .fetch_add(reviewed.unlinked, Ordering::Relaxed);
        progress
            .condemned
            .fetch_add(reviewed.condemned, Ordering::Relaxed);
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

    /// Deletes the objects of condemned blobs, whose rows can go then.
    #[instrument(name = "gc.objects.delete", level = "debug", skip_all)]
    async fn delete_condemned(&self, turn: &Turn) -> Result<Vec<Condemned>> {
        let before = Timestamp(self.clock.now().0 - self.gc.hold.as_micros() as i64);
        let mut tx = self.db.reader().await?;
        let blobs = gc::condemned(&mut tx, before, turn.objects).await?;
        drop(tx);
        let mut gone = Vec::new();
        for some in blobs.chunks(turn.at_once) {
            turn.pace(gone.len() as u64).await;
            gone.extend(self.delete_objects(some).await?);
        }
        if !gone.is_empty() {
            tracing::info!(objects = gone.len(), "collected garbage");
        }
        Ok(gone)
    }

    /// Deletes the objects of these blobs; the blobs whose objects are gone.
    async fn delete_objects(&self, blobs: &[Condemned]) -> Result<Vec<Condemned>> {
        let owned = blobs.iter().filter(|blob| blob.owned);
        let keys: Vec<String> = owned.map(|blob| blob.key.clone()).collect();
        let not_deleted = self.registry.store().delete(&keys).await?;
        for (key, error) in &not_deleted {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            tracing::warn!(object.key = key, %error, cause, "an object cannot be deleted");
        }
        let stays = |blob: &Condemned| not_deleted.iter().any(|(key, _)| *key == blob.key);
        let gone: Vec<_> = blobs.iter().filter(|blob| !stays(blob)).cloned().collect();
        let freed: u64 = gone
            .iter()
            .filter(|blob| blob.owned)
            .map(|blob| blob.size)
            .sum();
        let count = keys.len() - not_deleted.len();
        self.progress
            .deleted
            .fetch_add(count as u64, Ordering::Relaxed);
        self.progress.freed.fetch_add(freed, Ordering::Relaxed);
        Ok(gone)
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
