//! The state of a checkpoint beyond size and hash: the multipart upload, its parts, and the tail.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The format's version.
const VERSION: u8 = 1;
/// Part numbers that a process skips when it takes over an upload: the previous one may still be writing some, and can
/// hold no more than these before it notices.
const LEFT_FREE: u16 = 8;

/// True if this many parts deserve a checkpoint after one with `told` parts. Each checkpoint lists all parts, so it
/// must have at least a 64th more than the last one: all checkpoints of a body then take about 64 times the size of the
/// last, instead of growing with the square.
pub(super) const fn is_worth_telling(parts: usize, told: usize) -> bool {
    parts > told + told / 64
}

/// An object's state at a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) version: u8,
    /// The process that made the checkpoint.
    pub(super) instance: String,
    /// Id of the multipart upload.
    pub(super) upload: String,
    /// The parts, in order.
    pub(super) parts: Vec<Part>,
    /// Bytes in the parts.
    pub(super) size: u64,
    /// The bytes behind the parts.
    pub(super) tail: Option<Tail>,
    /// Names of all tails known to exist.
    pub(super) tails: Vec<String>,
    /// True if a process may have left unknown tails.
    pub(super) strays: bool,
}

/// A part that was uploaded: its number and its ETag without quotes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part(pub(super) u16, pub(super) String);

/// Bytes fewer than a part: a separate object from which to resume, and the last part at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tail {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) part: Part,
}

impl State {
    /// Reads what [`State::text`] wrote.
    pub(super) fn parse(key: &str, text: &[u8]) -> Result<Self> {
        let invalid = |cause| Error::Failed {
            action: "go on with",
            key: key.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, cause),
        };
        let state: Self = serde_json::from_slice(text).map_err(|error| invalid(error.into()))?;
        if state.version == VERSION {
            Ok(state)
        } else {
            Err(invalid(crate::Cause::from("unknown version")))
        }
    }

    /// The stored form.
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, strings and lists are JSON")
    }

    pub(super) const fn version() -> u8 {
        VERSION
    }

    /// Where the object ends.
    pub(super) fn end(&self) -> u64 {
        self.size + self.tail.as_ref().map_or(0, |tail| tail.size)
    }

    /// The parts that make the object whole.
    pub(super) fn all_parts(&self) -> Vec<Part> {
        let last = self.tail.as_ref().map(|tail| tail.part.clone());
        self.parts.iter().cloned().chain(last).collect()
    }

    /// True if a process that resumes this state must expect tails that it does not name.
    pub(super) fn may_have_strays(&self, instance: &str) -> bool {
        self.strays || self.instance != instance
    }

    /// The part number with which a process continues.
    pub(super) fn next_number(&self, instance: &str) -> u16 {
        let last = self.parts.last().map_or(0, |part| part.0);
        if self.instance == instance {
            last + 1
        } else {
            last + 1 + LEFT_FREE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_many_parts_are_few() {
        let (mut told, mut written) = (0, 0);
        for parts in 1..=10_000 {
            if is_worth_telling(parts, told) {
                (told, written) = (parts, written + parts);
            }
            assert!(parts - told <= parts / 64, "{parts} after {told}");
        }
        assert!(written < 70 * 10_000, "{written}");
    }

    fn state() -> State {
        State {
            version: VERSION,
            instance: "mine".to_owned(),
            upload: "u".to_owned(),
            parts: vec![Part(1, "a".to_owned()), Part(2, "b".to_owned())],
            size: 16,
            tail: Some(Tail {
                name: "t".to_owned(),
                size: 3,
                part: Part(3, "c".to_owned()),
            }),
            tails: vec!["t".to_owned()],
            strays: false,
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let read = State::parse("k", &state().text()).unwrap();
        assert_eq!(read.text(), state().text());
        assert_eq!(read.end(), 19);
        assert_eq!(read.all_parts().len(), 3);
    }

    #[test]
    fn another_version_is_refused() {
        let text = State {
            version: 2,
            ..state()
        }
        .text();
        assert!(State::parse("k", &text).is_err());
        assert!(State::parse("k", b"{").is_err());
    }

    #[test]
    fn another_process_leaves_numbers_free() {
        assert_eq!(state().next_number("mine"), 3);
        assert_eq!(state().next_number("other"), 11);
    }
}
