//! One writer per session: a request that continues a session first stops the one still writing to it, and waits until
//! that can no longer change the bytes. Between processes, the epoch in the row does the same for acknowledged bytes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

type Sessions = Arc<Mutex<HashMap<String, Session>>>;

#[derive(Default)]
struct Session {
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Stops the current writer, or waits for it.
    latest: CancellationToken,
}

/// The sessions that this process is writing.
#[derive(Default)]
pub(crate) struct Turns(Sessions);

/// The right to write a session's bytes.
pub(super) struct Turn {
    id: String,
    sessions: Sessions,
    guard: Option<OwnedMutexGuard<()>>,
    stopped: CancellationToken,
}

impl Turns {
    /// Stops the session's current writer, and waits for its end.
    pub(super) async fn take(&self, id: &str) -> Turn {
        let stopped = CancellationToken::new();
        let writing = {
            let mut sessions = self.0.lock();
            let session = sessions.entry(id.to_owned()).or_default();
            session.latest.cancel();
            session.latest = stopped.clone();
            session.writing.clone()
        };
        let guard = Some(writing.lock_owned().await);
        Turn {
            id: id.to_owned(),
            sessions: self.0.clone(),
            guard,
            stopped,
        }
    }
}

impl Turn {
    /// Resolves when another request wants to continue the session.
    pub(super) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock();
        self.guard = None;
        // Nobody waits: only the entry holds the lock.
        if sessions
            .get(&self.id)
            .is_some_and(|session| Arc::strong_count(&session.writing) == 1)
        {
            sessions.remove(&self.id);
        }
    }
}
