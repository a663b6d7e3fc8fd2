//! Keys of objects that this process writes before any row names them. The sweeper, which deletes what no row
//! names, leaves them alone however the clock goes.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The keys.
#[derive(Clone, Default)]
pub(crate) struct Unnamed(Arc<Mutex<HashSet<String>>>);

/// A key that the sweeper knows as long as this is kept.
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
