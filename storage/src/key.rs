//! Object keys: `<hour>/<random>`, chosen when an upload starts and never derived from the content.

use model::Timestamp;

/// A new key. `random` comes from a cryptographic source.
pub fn new(now: Timestamp, random: [u8; 16]) -> String {
    format!("{}/{}", now.hour(), hex::encode(random))
}

/// The hour that a key was made in; `None` for keys of other origin.
pub fn hour(key: &str) -> Option<i64> {
    key.split_once('/')?.0.parse().ok()
}
