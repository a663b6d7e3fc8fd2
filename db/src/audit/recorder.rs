//! Audit entries that belong to no transaction: logins and refusals. They gather in memory, and a job writes them in
//! batches. Logins that are alike within a second become one entry with a count. Of a caller's refusals of one kind,
//! the first is an entry at once, and all that follow within a minute are a second one, whatever they named: who is
//! refused a million names leaves two rows a minute.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{AccountId, ProjectId, Timestamp};
use parking_lot::Mutex;

use crate::audit::{self, NewEntry};
use crate::database::Db;
use crate::error::Result;

/// Different entries that may wait; what comes beyond is counted as dropped.
const CAPACITY: usize = 100_000;
/// Of these, the ones that only failed logins may take: no flood of anything else hides them.
const RESERVE: usize = 20_000;
/// Callers whose refusals are counted at a time, by kind.
const MOST_WINDOWS: usize = 20_000;
/// Seconds for which refusals are counted together.
const WINDOW_SECS: i64 = 60;
/// Entries that one transaction writes.
const BATCH: usize = 500;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    account: Option<AccountId>,
    account_name: String,
    address: String,
    operation: &'static str,
    resource_type: &'static str,
    resource: String,
    project: Option<ProjectId>,
    success: bool,
    second: i64,
}

impl Key {
    fn of(entry: &NewEntry) -> Self {
        Self {
            account: entry.account,
            account_name: entry.account_name.clone(),
            address: entry.address.clone(),
            operation: entry.operation,
            resource_type: entry.resource_type,
            resource: entry.resource.clone(),
            project: entry.project,
            success: entry.success,
            second: entry.at.seconds(),
        }
    }
}

/// What refusals are counted by: a caller and the kind of thing that it was refused.
#[derive(PartialEq, Eq, Hash)]
struct Refused {
    account: Option<AccountId>,
    operation: &'static str,
    kind: String,
}

/// The time after a caller's first refusal of a kind.
struct Window {
    /// The second in which it ends.
    ends: i64,
    /// What followed the first refusal, with a count.
    following: Option<NewEntry>,
    /// Whether what followed differs in more than the time.
    mixed: bool,
}

impl Window {
    fn add(&mut self, entry: NewEntry) {
        let Some(following) = &mut self.following else {
            self.following = Some(entry);
            return;
        };
        following.times += entry.times;
        self.mixed |=
            (&following.resource, &following.address) != (&entry.resource, &entry.address);
    }

    fn into_entry(self) -> Option<NewEntry> {
        let mut entry = self.following?;
        if self.mixed {
            entry.detail += "; others like it within a minute are counted here";
        }
        Some(entry)
    }
}

/// The entries that wait.
#[derive(Default)]
pub struct Recorder {
    waiting: Mutex<HashMap<Key, NewEntry>>,
    refusals: Mutex<HashMap<Refused, Window>>,
    /// Batches that are being written, or could not be; held by whoever writes.
    batches: tokio::sync::Mutex<VecDeque<Batch>>,
    dropped: AtomicU64,
}

impl Recorder {
    /// Records an entry.
    pub fn record(&self, entry: NewEntry) {
        self.enqueue(entry, CAPACITY - RESERVE);
    }

    /// Records a failed login, for which there is a reserve.
    pub fn record_failed_login(&self, entry: NewEntry) {
        self.enqueue(entry, CAPACITY);
    }

    /// Records what a caller was refused. `kind` comes from a closed set, such as the routes: it is what refusals of
    /// one caller are told apart by.
    pub fn record_refusal(&self, kind: &str, entry: NewEntry) {
        let key = Refused {
            account: entry.account,
            operation: entry.operation,
            kind: kind.to_owned(),
        };
        let mut refusals = self.refusals.lock();
        if let Some(window) = refusals.get_mut(&key) {
            return window.add(entry);
        }
        if refusals.len() >= MOST_WINDOWS {
            return self.count_dropped();
        }
        let window = Window {
            ends: entry.at.seconds() + WINDOW_SECS,
            following: None,
            mixed: false,
        };
        refusals.insert(key, window);
        drop(refusals);
        self.record(entry);
    }

    fn enqueue(&self, entry: NewEntry, limit: usize) {
        let key = Key::of(&entry);
        let mut waiting = self.waiting.lock();
        if let Some(same) = waiting.get_mut(&key) {
            same.times += entry.times;
        } else if waiting.len() < limit {
            waiting.insert(key, entry);
        } else {
            self.count_dropped();
        }
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many entries were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes all that waits, but for refusals that are still being counted at `now`, under an id that no other
    /// process uses. What cannot be written stays.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush(&self, db: &Db, id: &str, now: Timestamp) -> Result<usize> {
        self.close_windows(|window| window.ends <= now.seconds());
        self.write_waiting(db, id).await
    }

    /// Writes all that waits, when nothing more will come.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_last(&self, db: &Db, id: &str) -> Result<usize> {
        self.close_windows(|_| true);
        self.write_waiting(db, id).await
    }

    fn close_windows(&self, ended: impl Fn(&Window) -> bool) {
        let closed: Vec<Window> = self
            .refusals
            .lock()
            .extract_if(|_, window| ended(window))
            .map(|(_, window)| window)
            .collect();
        closed
            .into_iter()
            .filter_map(Window::into_entry)
            .for_each(|entry| self.record(entry));
    }

    async fn write_waiting(&self, db: &Db, id: &str) -> Result<usize> {
        let mut batches = self.batches.lock().await;
        // Those of before first, so that what waits stays bounded while the database is down.
        let mut written = write_batches(db, &mut batches).await?;
        let mut entries: Vec<NewEntry> = {
            let mut waiting = self.waiting.lock();
            waiting.drain().map(|(_, entry)| entry).collect()
        };
        entries.sort_by_key(|entry| entry.at);
        let numbered = entries.chunks(BATCH).enumerate();
        batches.extend(numbered.map(|(number, entries)| Batch {
            id: format!("{id}-{number}"),
            entries: entries.into(),
        }));
        written += write_batches(db, &mut batches).await?;
        Ok(written)
    }
}

/// Entries that are written together, under one id: where the answer to the commit is lost they are written
/// again, and count once.
#[derive(Clone)]
struct Batch {
    id: String,
    entries: Arc<[NewEntry]>,
}

async fn write_batches(db: &Db, batches: &mut VecDeque<Batch>) -> Result<usize> {
    let mut written = 0;
    while let Some(batch) = batches.front() {
        let Batch { id, entries } = batch.clone();
        written += entries.len();
        db.write(move |tx| {
            Box::pin(async move {
                let now = entries
                    .last()
                    .map_or(Timestamp::default(), |entry| entry.at);
                audit::append_batch(tx, &id, &entries, now).await
            })
        })
        .await?;
        batches.pop_front();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: &'static str, resource: &str, at: i64) -> NewEntry {
        NewEntry {
            at: Timestamp(at * 1_000_000),
            account: Some(AccountId(7)),
            account_name: "ann".to_owned(),
            address: "192.0.2.1".to_owned(),
            operation,
            resource_type: "repository",
            resource: resource.to_owned(),
            project: None,
            success: false,
            times: 1,
            detail: "not permitted".to_owned(),
        }
    }

    fn waiting(recorder: &Recorder) -> Vec<(String, i64)> {
        let waiting = recorder.waiting.lock();
        let mut entries: Vec<_> = waiting.values().cloned().collect();
        entries.sort_by_key(|entry| (entry.at, entry.resource.clone()));
        let shown = entries
            .into_iter()
            .map(|entry| (entry.resource, entry.times));
        shown.collect()
    }

    #[test]
    fn a_thousand_refused_names_are_two_entries_a_minute() {
        let recorder = Recorder::default();
        for number in 0..1_000 {
            let refused = entry("pull", &format!("hidden/{number}"), number / 20);
            recorder.record_refusal("pull", refused);
        }
        assert_eq!(waiting(&recorder), [("hidden/0".to_owned(), 1)]);
        recorder.close_windows(|window| window.ends <= 59);
        assert_eq!(waiting(&recorder).len(), 1, "they are still being counted");
        recorder.close_windows(|window| window.ends <= 60);
        let expected = [("hidden/0".to_owned(), 1), ("hidden/1".to_owned(), 999)];
        assert_eq!(waiting(&recorder), expected);
        recorder.record_refusal("pull", entry("pull", "hidden/x", 61));
        assert_eq!(waiting(&recorder).len(), 3);
    }

    #[test]
    fn refusals_of_other_callers_and_kinds_are_counted_apart() {
        let recorder = Recorder::default();
        let other = NewEntry {
            account: Some(AccountId(8)),
            account_name: "bob".to_owned(),
            ..entry("pull", "hidden/app", 0)
        };
        recorder.record_refusal("pull", entry("pull", "hidden/app", 0));
        recorder.record_refusal("pull", other);
        recorder.record_refusal("push", entry("push", "hidden/app", 0));
        assert_eq!(waiting(&recorder).len(), 3);
    }

    #[test]
    fn a_flood_of_other_entries_leaves_a_place_for_failed_logins() {
        let recorder = Recorder::default();
        for number in 0..CAPACITY as i64 {
            recorder.record(entry("login", &number.to_string(), 0));
        }
        assert_eq!(recorder.dropped(), RESERVE as u64);
        recorder.record_failed_login(entry("login", "admin", 0));
        assert_eq!(recorder.dropped(), RESERVE as u64);
        for number in 0..CAPACITY as i64 {
            let caller = NewEntry {
                account: Some(AccountId(number)),
                ..entry("pull", "hidden/app", 0)
            };
            recorder.record_refusal("pull", caller);
        }
        assert_eq!(recorder.refusals.lock().len(), MOST_WINDOWS);
        let known = recorder.dropped();
        recorder.record_failed_login(entry("login", "another", 0));
        assert_eq!(recorder.dropped(), known);
    }
}
