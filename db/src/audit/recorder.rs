//! Events that belong to no transaction: logins and refusals. They are collected in memory, and a task writes them in
//! batches. Equal logins within a second become one event with a count. Of a caller's refusals of one kind, the first
//! is an event at once, and all that follow within a minute are a second one, whatever they named: a million refused
//! names leave two rows a minute.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Event, Operation, Origin, Outcome, Principal, Subject, Timestamp};
use parking_lot::Mutex;

use crate::database::Db;
use crate::error::Result;

/// Maximum number of waiting events; further ones are counted as dropped.
const CAPACITY: usize = 100_000;
/// Places among these that are reserved for failed logins, so that no flood of other events hides them.
const RESERVE: usize = 20_000;
/// Maximum number of callers and kinds whose refusals are counted at a time.
const MOST_WINDOWS: usize = 20_000;
/// Seconds for which refusals are counted together.
const WINDOW_SECS: i64 = 60;
/// Events to write per transaction.
const BATCH: usize = 500;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    operation: Operation,
    subject: Subject,
    outcome: Outcome,
    /// Part of the key, so that each reason of a refusal is recorded.
    detail: String,
    second: i64,
}

impl Key {
    fn of(event: &Event) -> Self {
        Self {
            origin: event.origin.clone(),
            operation: event.operation,
            subject: event.subject.clone(),
            outcome: event.outcome,
            detail: event.detail.clone(),
            second: event.at.seconds(),
        }
    }
}

/// The key for counting refusals: a caller and a kind.
#[derive(PartialEq, Eq, Hash)]
struct Refused {
    principal: Principal,
    operation: Operation,
    kind: String,
}

/// The time after a caller's first refusal of a kind.
struct Window {
    /// The second in which it ends.
    ends: i64,
    /// The refusals after the first one, with a count.
    following: Option<Event>,
    /// Whether they differ in more than the time.
    mixed: bool,
}

impl Window {
    fn add(&mut self, event: Event) {
        let Some(following) = &mut self.following else {
            self.following = Some(event);
            return;
        };
        following.times += event.times;
        let told_apart = |event: &Event| {
            (
                event.subject.clone(),
                event.origin.clone(),
                event.detail.clone(),
            )
        };
        self.mixed = self.mixed || told_apart(following) != told_apart(&event);
    }

    fn into_event(self) -> Option<Event> {
        let mut event = self.following?;
        if self.mixed {
            event.detail += "; others like it within a minute are counted here";
        }
        Some(event)
    }
}

/// The events that wait.
#[derive(Default)]
pub struct Recorder {
    waiting: Mutex<HashMap<Key, Event>>,
    refusals: Mutex<HashMap<Refused, Window>>,
    /// Batches being written, or whose write failed; locked by the writer.
    batches: tokio::sync::Mutex<VecDeque<Batch>>,
    dropped: AtomicU64,
}

impl Recorder {
    /// Records an event.
    pub fn record(&self, event: Event) {
        self.enqueue(event, CAPACITY - RESERVE);
    }

    /// Records a failed login, for which there is a reserve.
    pub fn record_failed_login(&self, event: Event) {
        self.enqueue(event, CAPACITY);
    }

    /// Records a refusal. `kind` comes from a closed set, such as the routes, and distinguishes refusals of one caller.
    pub fn record_refusal(&self, kind: &str, event: Event) {
        let key = Refused {
            principal: event.origin.principal.clone(),
            operation: event.operation,
            kind: kind.to_owned(),
        };
        let mut refusals = self.refusals.lock();
        if let Some(window) = refusals.get_mut(&key) {
            return window.add(event);
        }
        if refusals.len() >= MOST_WINDOWS {
            return self.count_dropped();
        }
        let window = Window {
            ends: event.at.seconds() + WINDOW_SECS,
            following: None,
            mixed: false,
        };
        refusals.insert(key, window);
        drop(refusals);
        self.record(event);
    }

    fn enqueue(&self, event: Event, limit: usize) {
        let key = Key::of(&event);
        let mut waiting = self.waiting.lock();
        if let Some(same) = waiting.get_mut(&key) {
            same.times += event.times;
        } else if waiting.len() < limit {
            waiting.insert(key, event);
        } else {
            self.count_dropped();
        }
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many events are not written yet, without refusals that are still being counted.
    pub async fn unwritten(&self) -> usize {
        let batches = self.batches.lock().await;
        let taken: usize = batches.iter().map(|batch| batch.events.len()).sum();
        taken + self.waiting.lock().len()
    }

    /// Writes all waiting events except refusals that are still being counted at `now`, under an id that no other
    /// process uses. Events that cannot be written stay.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush(&self, db: &Db, id: &str, now: Timestamp) -> Result<usize> {
        self.close_windows(|window| window.ends <= now.seconds());
        self.write_waiting(db, id).await
    }

    /// Writes everything, when no more events will come.
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
            .filter_map(Window::into_event)
            .for_each(|event| self.record(event));
    }

    async fn write_waiting(&self, db: &Db, id: &str) -> Result<usize> {
        let mut batches = self.batches.lock().await;
        // Earlier batches first, so that waiting events stay bounded while the database is down.
        let mut written = write_batches(db, &mut batches).await?;
        let mut events: Vec<Event> = {
            let mut waiting = self.waiting.lock();
            waiting.drain().map(|(_, event)| event).collect()
        };
        events.sort_by_key(|event| event.at);
        let numbered = events.chunks(BATCH).enumerate();
        batches.extend(numbered.map(|(number, events)| Batch {
            id: format!("{id}-{number}"),
            events: events.into(),
        }));
        written += write_batches(db, &mut batches).await?;
        Ok(written)
    }
}

/// Events written together under one id: if the answer to the commit is lost, they are written again but count once.
#[derive(Clone)]
struct Batch {
    id: String,
    events: Arc<[Event]>,
}

async fn write_batches(db: &Db, batches: &mut VecDeque<Batch>) -> Result<usize> {
    let mut written = 0;
    while let Some(batch) = batches.front() {
        let Batch { id, events } = batch.clone();
        written += events.len();
        db.write(move |tx| {
            Box::pin(async move {
                let now = events.last().map_or(Timestamp::default(), |event| event.at);
                tx.record_batch(&id, &events, now).await
            })
        })
        .await?;
        batches.pop_front();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use model::{Client, PrincipalId, UserId};

    use super::*;

    fn refused(user: i64, operation: Operation, name: &str, at: i64) -> Event {
        let origin = Origin {
            principal: Principal::User {
                id: PrincipalId(user),
                user: UserId(user),
                name: "ann".into(),
            },
            client: Client::at(Some([192, 0, 2, 1].into())),
        };
        let subject = Subject::Repository {
            project: None,
            name: name.parse().unwrap(),
        };
        Event::new(Timestamp(at * 1_000_000), origin, operation, subject)
            .refused()
            .with_detail("not permitted")
    }

    fn pull(name: &str, at: i64) -> Event {
        refused(7, Operation::Pull, name, at)
    }

    fn login(name: &str) -> Event {
        refused(7, Operation::Login, name, 0)
    }

    fn waiting(recorder: &Recorder) -> Vec<(String, i64)> {
        let waiting = recorder.waiting.lock();
        let mut events: Vec<_> = waiting.values().cloned().collect();
        events.sort_by_key(|event| (event.at, event.subject.to_string()));
        let shown = events
            .into_iter()
            .map(|event| (event.subject.to_string(), event.times));
        shown.collect()
    }

    #[test]
    fn a_thousand_refused_names_are_two_events_a_minute() {
        let recorder = Recorder::default();
        for number in 0..1_000 {
            let refused = pull(&format!("hidden/{number}"), number / 20);
            recorder.record_refusal("pull", refused);
        }
        assert_eq!(waiting(&recorder), [("hidden/0".to_owned(), 1)]);
        recorder.close_windows(|window| window.ends <= 59);
        assert_eq!(waiting(&recorder).len(), 1, "they are still being counted");
        recorder.close_windows(|window| window.ends <= 60);
        let expected = [("hidden/0".to_owned(), 1), ("hidden/1".to_owned(), 999)];
        assert_eq!(waiting(&recorder), expected);
        recorder.record_refusal("pull", pull("hidden/x", 61));
        assert_eq!(waiting(&recorder).len(), 3);
    }

    #[test]
    fn refusals_of_other_callers_and_kinds_are_counted_apart() {
        let recorder = Recorder::default();
        let other = refused(8, Operation::Pull, "hidden/app", 0);
        recorder.record_refusal("pull", pull("hidden/app", 0));
        recorder.record_refusal("pull", other);
        let push = refused(7, Operation::Push, "hidden/app", 0);
        recorder.record_refusal("push", push);
        assert_eq!(waiting(&recorder).len(), 3);
    }

    #[test]
    fn a_flood_of_other_events_leaves_a_place_for_failed_logins() {
        let recorder = Recorder::default();
        for number in 0..CAPACITY as i64 {
            recorder.record(login(&format!("hidden/{number}")));
        }
        assert_eq!(recorder.dropped(), RESERVE as u64);
        recorder.record_failed_login(login("hidden/admin"));
        assert_eq!(recorder.dropped(), RESERVE as u64);
        for number in 0..CAPACITY as i64 {
            let caller = refused(number, Operation::Pull, "hidden/app", 0);
            recorder.record_refusal("pull", caller);
        }
        assert_eq!(recorder.refusals.lock().len(), MOST_WINDOWS);
        let known = recorder.dropped();
        recorder.record_failed_login(login("hidden/another"));
        assert_eq!(recorder.dropped(), known);
    }
}
