//! Keys of objects that this process is writing and that have no row yet. The sweeper, which deletes objects without a
//! row, never touches them, even if the clock is wrong.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The keys.
#[derive(Clone, Default)]
pub(crate) struct Unnamed(Arc<Mutex<HashSet<String>>>);

/// Protects a key from the sweeper until dropped.
pub(super) struct Key {
    text: String,
    keys: Unnamed,
}

impl Unnamed {
    pub(super) fn add(&self, text: String) -> Key {
        self.0.lock().insert(text.clone());
        Key {
            text,
            keys: self.clone(),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.lock().contains(key)
    }
}

impl std::ops::Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.0.lock().remove(&self.text);
    }
}
