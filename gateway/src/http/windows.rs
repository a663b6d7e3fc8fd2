//! How far a client may send ahead on an HTTP/2 connection. Bytes that come before they are needed use unreserved
//! memory, so a connection begins with the protocol's 64 KiB; each running upload adds to it, with memory reserved for
//! that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use storage::budget::{Budget, Holder, Reservation};

/// How much may be sent ahead on one stream, and how much each upload adds for its connection.
pub(crate) const STREAM: u32 = 1 << 20;
/// How much may be sent ahead on a connection without uploads (RFC 9113, section 6.9.2).
const CONNECTION: u32 = 65_535;
/// Uploads that add to it.
const UPLOADS: u32 = 16;

/// The window of a connection.
#[derive(Clone)]
pub(crate) struct Windows(Arc<Shared>);

struct Shared {
    uploads: AtomicU32,
    connection: AtomicWaker,
    memory: Arc<Budget>,
}

/// The part of a window that an upload added.
pub(crate) struct Wide {
    shared: Arc<Shared>,
    _memory: Reservation,
}

impl Windows {
    pub(crate) fn new(memory: Arc<Budget>) -> Self {
        Self(Arc::new(Shared {
            uploads: AtomicU32::new(0),
            connection: AtomicWaker::new(),
            memory,
        }))
    }

    /// Widens the window if there is memory for it now; without it, uploads are slower over connections with a long
    /// delay.
    pub(crate) fn widen(&self, holder: Holder) -> Option<Wide> {
        let memory = self.0.memory.try_take(holder, STREAM as usize)?;
        self.0.uploads.fetch_add(1, Ordering::Relaxed);
        self.0.connection.wake();
        Some(Wide {
            shared: self.0.clone(),
            _memory: memory,
        })
    }

    /// The intended size of the connection's window; the caller is woken when it changes.
    pub(crate) fn connection(&self, waker: &Waker) -> u32 {
        self.0.connection.register(waker);
        CONNECTION + STREAM * self.0.uploads.load(Ordering::Relaxed).min(UPLOADS)
    }
}

impl Drop for Wide {
    fn drop(&mut self) {
        self.shared.uploads.fetch_sub(1, Ordering::Relaxed);
        self.shared.connection.wake();
    }
}
