//! How far a long command is. The work counts here; whoever waits for it reads the counts and shows them. How they are
//! shown is up to the command line.

use parking_lot::Mutex;

/// What is counted while a store is listed.
pub(super) const LISTED: &str = "objects listed";

/// How far some work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What is counted, such as `blobs`; empty until the first stage begins.
    pub unit: &'static str,
    /// How many of them are done.
    pub items: u64,
    /// About how many there are, if that is known.
    pub all_items: Option<u64>,
    /// Bytes that are done.
    pub bytes: u64,
    /// About how many bytes there are, if that is known.
    pub all_bytes: Option<u64>,
}

/// Counts of work that is being done, for one who watches it.
#[derive(Debug, Default)]
pub struct Progress {
    counts: Mutex<Counts>,
}

impl Progress {
    /// Begins a stage: from now on, `unit` are counted, from zero.
    pub fn begin(&self, unit: &'static str, all_items: Option<u64>, all_bytes: Option<u64>) {
        *self.counts.lock() = Counts {
            unit,
            all_items,
            all_bytes,
            ..Counts::default()
        };
    }

    /// One more is done.
    pub fn count(&self) {
        self.counts.lock().items += 1;
    }

    /// So many more bytes are done.
    pub fn count_bytes(&self, bytes: u64) {
        self.counts.lock().bytes += bytes;
    }

    /// How far it is.
    pub fn counts(&self) -> Counts {
        *self.counts.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_counts_from_zero() {
        let progress = Progress::default();
        assert_eq!(progress.counts(), Counts::default());
        progress.begin("blobs", Some(2), Some(30));
        progress.count();
        progress.count_bytes(10);
        progress.count_bytes(5);
        let counts = progress.counts();
        assert_eq!((counts.items, counts.bytes), (1, 15));
        assert_eq!((counts.all_items, counts.all_bytes), (Some(2), Some(30)));
        progress.begin("objects", None, None);
        let expected = Counts {
            unit: "objects",
            ..Counts::default()
        };
        assert_eq!(progress.counts(), expected);
    }
}
