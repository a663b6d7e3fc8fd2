//! Object keys: `<hour>/<process><random>`, chosen when an upload starts and never derived from the
//! content.

use model::Timestamp;

/// Names the process that made a key, so that it can tell its own running uploads from what another
/// one left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub [u8; 4]);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A new key. `random` comes from a cryptographic source.
pub fn new(now: Timestamp, process: Process, random: [u8; 16]) -> String {
    format!(
        "{}/{}{}",
        now.hour(),
        hex::encode(process.0),
        hex::encode(random)
    )
}

/// Whether a process made a key.
pub fn is_of(key: &str, process: Process) -> bool {
    key.split_once('/')
        .is_some_and(|(_, name)| name.starts_with(&hex::encode(process.0)))
}

/// The hour that a key was made in; `None` for keys of other origin.
pub fn hour(key: &str) -> Option<i64> {
    key.split_once('/')?.0.parse().ok()
}
