//! Audit entries that belong to no transaction: pulls, logins, refusals. They gather in memory, what
//! is alike within a second becomes one entry with a count, and a job writes them in batches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{AccountId, ProjectId};
use parking_lot::Mutex;

use crate::audit::{self, NewEntry};
use crate::{Db, Error, Result};

/// Different entries that may wait; what comes beyond is counted as dropped, and pulls are refused
/// before that.
const CAPACITY: usize = 100_000;
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

/// The entries that wait.
#[derive(Default)]
pub struct Recorder {
    waiting: Mutex<HashMap<Key, NewEntry>>,
    dropped: AtomicU64,
}

impl Recorder {
    /// Whether there is room; who must be recorded is refused when there is none.
    pub fn has_room(&self) -> bool {
        self.waiting.lock().len() < CAPACITY
    }

    /// Notes an entry.
    pub fn record(&self, entry: NewEntry) {
        let key = Key {
            account: entry.account,
            account_name: entry.account_name.clone(),
            address: entry.address.clone(),
            operation: entry.operation,
            resource_type: entry.resource_type,
            resource: entry.resource.clone(),
            project: entry.project,
            success: entry.success,
            second: entry.at.seconds(),
        };
        let mut waiting = self.waiting.lock();
        if let Some(same) = waiting.get_mut(&key) {
            same.times += entry.times;
        } else if waiting.len() < CAPACITY {
            waiting.insert(key, entry);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many entries were dropped for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes all that waits. What cannot be written stays.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush(&self, db: &Db) -> Result<usize> {
        let mut entries: Vec<NewEntry> = {
            let mut waiting = self.waiting.lock();
            waiting.drain().map(|(_, entry)| entry).collect()
        };
        entries.sort_by_key(|entry| entry.at);
        let total = entries.len();
        while !entries.is_empty() {
            let batch: Vec<NewEntry> = entries.drain(..entries.len().min(BATCH)).collect();
            let copy = batch.clone();
            let written = db
                .write(move |tx| {
                    Box::pin(async move {
                        for entry in &copy {
                            audit::append(tx, entry).await?;
                        }
                        Ok::<_, Error>(())
                    })
                })
                .await;
            if let Err(error) = written {
                batch
                    .into_iter()
                    .chain(entries)
                    .for_each(|entry| self.record(entry));
                return Err(error);
            }
        }
        Ok(total)
    }
}
