//! One writer per session: whoever goes on with a session first stops the request that still writes
//! it, and waits until nothing of that can reach the bytes any more. The epoch in the row does the
//! same between processes for what is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

type Sessions = Arc<Mutex<HashMap<String, Session>>>;

#[derive(Default)]
struct Session {
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Stops the request that has the turn, or waits for it.
    latest: CancellationToken,
}

/// Which sessions this process writes.
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
    /// Stops whoever writes the session, and waits for its end.
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
    /// Resolves when another request wants to go on with the session.
    pub(super) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock();
        self.guard = None;
        // Nobody waits: the entry alone holds the lock.
        if sessions
            .get(&self.id)
            .is_some_and(|session| Arc::strong_count(&session.writing) == 1)
        {
            sessions.remove(&self.id);
        }
    }
}
