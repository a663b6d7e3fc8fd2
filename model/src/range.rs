//! The two range headers of the registry protocol: `Range` on pulls, `Content-Range` on chunks.

use std::ops::Range;
use std::str::FromStr;

/// Maximum ranges per request: podman requests this many parts of a zstd:chunked layer.
pub const MAX_RANGES: usize = 1_024;

/// The meaning of a `Range` request header for a body of known size (RFC 9110, section 14.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteRanges {
    /// The whole body, with 200: no header, or one that is ignored.
    Whole,
    /// These parts of it, with 206: one or more, in the requested order, without overlaps.
    Parts(Vec<Part>),
    /// Nothing within the body: 416.
    Unsatisfiable,
}

/// A part of a body, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Offset of its first byte.
    pub first: u64,
    /// Offset of its last byte.
    pub last: u64,
}

impl ByteRanges {
    /// Reads a header value for a body of `size` bytes.
    ///
    /// A header that is malformed, has another unit, or requests more than [`MAX_RANGES`] ranges or overlapping ones is
    /// ignored, as the RFC allows, so that no request costs more than the whole body. Adjacent ranges are not merged,
    /// because podman counts the parts of the answer.
    pub fn parse(header: Option<&str>, size: u64) -> Self {
        let Some(asked) = header.and_then(Asked::all) else {
            return Self::Whole;
        };
        let parts: Vec<Part> = asked.iter().filter_map(|asked| asked.of(size)).collect();
        if parts.is_empty() {
            Self::Unsatisfiable
        } else if overlap(&parts) {
            Self::Whole
        } else {
            Self::Parts(parts)
        }
    }
}

impl Part {
    /// Its length in bytes.
    pub const fn length(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The same as a half-open range.
    pub const fn range(&self) -> Range<u64> {
        self.first..self.last + 1
    }
}

fn overlap(parts: &[Part]) -> bool {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by_key(|part| part.first);
    sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .any(|(one, next)| next.first <= one.last)
}

/// One well-formed range of a header.
enum Asked {
    FromTo(u64, u64),
    From(u64),
    Last(u64),
}

impl Asked {
    /// All ranges of a header; `None` if one of them is malformed, or there are none, or too many.
    fn all(header: &str) -> Option<Vec<Self>> {
        let (unit, ranges) = header.trim().split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let ranges = ranges.split(',').map(str::trim);
        let ranges: Vec<Self> = ranges
            .filter(|range| !range.is_empty())
            .take(MAX_RANGES + 1)
            .map(Self::one)
            .collect::<Option<_>>()?;
        (1..=MAX_RANGES).contains(&ranges.len()).then_some(ranges)
    }

    fn one(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = number(first).zip(number(last))?;
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// The requested part of a body; `None` if it lies outside.
    fn of(&self, size: u64) -> Option<Part> {
        let end = size.checked_sub(1)?;
        let (first, last) = match *self {
            Self::FromTo(first, last) => (first, last.min(end)),
            Self::From(first) => (first, end),
            Self::Last(0) => return None,
            Self::Last(length) => (size.saturating_sub(length), end),
        };
        (first <= end).then_some(Part { first, last })
    }
}

/// Digits only; a number too large for 64 bits counts as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// The position of a chunk in an upload: `first-last`, both included, as in the distribution specification's "Pushing a
/// blob in chunks" section; `bytes first-last/total` is accepted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the chunk's first byte.
    pub first: u64,
    /// Offset of its last byte.
    pub last: u64,
}

/// A `Content-Range` that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Content-Range must be FIRST-LAST, both offsets included")]
pub struct InvalidContentRange;

impl ContentRange {
    /// Number of bytes in the chunk.
    pub const fn length(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl FromStr for ContentRange {
    type Err = InvalidContentRange;

    fn from_str(text: &str) -> Result<Self, InvalidContentRange> {
        let text = text.trim();
        let text = text
            .strip_prefix("bytes")
            .map_or(text, |rest| rest.trim_start_matches([' ', '=']));
        let range = text.split('/').next().unwrap_or_default();
        let (first, last) = range.split_once('-').ok_or(InvalidContentRange)?;
        let (first, last) = number(first).zip(number(last)).ok_or(InvalidContentRange)?;
        if first > last || last == u64::MAX {
            return Err(InvalidContentRange);
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,60}", size: u64) {
            let _ = ByteRanges::parse(Some(&text), size);
            let _ = text.parse::<ContentRange>();
        }

        #[test]
        fn parts_lie_within_the_body_and_apart(
            text in "bytes=([0-9]{0,2}-[0-9]{0,2}[, ]){1,6}",
            size in 0_u64..100,
        ) {
            if let ByteRanges::Parts(parts) = ByteRanges::parse(Some(&text), size) {
                let mut bytes: Vec<u64> = parts.iter().flat_map(Part::range).collect();
                prop_assert_eq!(bytes.len() as u64, parts.iter().map(Part::length).sum::<u64>());
                bytes.sort_unstable();
                bytes.dedup();
                prop_assert_eq!(bytes.len() as u64, parts.iter().map(Part::length).sum::<u64>());
                prop_assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte < size));
            }
        }

        #[test]
        fn ranges_that_are_apart_come_in_the_order_asked_for(
            mut ends in prop::collection::btree_set(0_u64..10_000, 2..40),
            turn: bool,
        ) {
            if ends.len() % 2 == 1 {
                ends.pop_last();
            }
            let ends: Vec<u64> = ends.into_iter().collect();
            let mut parts: Vec<Part> = ends
                .chunks(2)
                .map(|ends| Part { first: ends[0], last: ends[1] })
                .collect();
            if turn {
                parts.reverse();
            }
            let asked: Vec<String> = parts.iter().map(|part| format!("{}-{}", part.first, part.last)).collect();
            let header = format!("bytes={}", asked.join(", "));
            prop_assert_eq!(ByteRanges::parse(Some(&header), 10_000), ByteRanges::Parts(parts));
        }
    }

    #[test]
    fn every_form_is_understood() {
        let part = |first, last| ByteRanges::Parts(vec![Part { first, last }]);
        let two = |one: (u64, u64), two: (u64, u64)| {
            let parts = [one, two].map(|(first, last)| Part { first, last });
            ByteRanges::Parts(parts.to_vec())
        };
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("Bytes=2-", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=5-99", part(5, 9)),
            ("bytes=10-", ByteRanges::Unsatisfiable),
            ("bytes=-0", ByteRanges::Unsatisfiable),
            ("bytes=10-,-0", ByteRanges::Unsatisfiable),
            ("bytes=5-2", ByteRanges::Whole),
            ("bytes=0-1,5-2", ByteRanges::Whole),
            ("bytes=0-1,3-4", two((0, 1), (3, 4))),
            ("bytes=0-1,2-4", two((0, 1), (2, 4))),
            ("bytes=-2 ,, 0-1", two((8, 9), (0, 1))),
            ("bytes=0-1,10-12", part(0, 1)),
            ("bytes=0-5,5-9", ByteRanges::Whole),
            ("bytes=0-,-1", ByteRanges::Whole),
            ("items=0-1", ByteRanges::Whole),
            ("bytes=a-b", ByteRanges::Whole),
            ("bytes=-", ByteRanges::Whole),
            ("bytes=", ByteRanges::Whole),
            ("bytes=,", ByteRanges::Whole),
        ] {
            assert_eq!(ByteRanges::parse(Some(header), 10), expected, "{header}");
        }
    }

    #[test]
    fn more_ranges_than_the_bound_are_the_whole() {
        let header = |count: usize| {
            let ranges: Vec<String> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
            format!("bytes={}", ranges.join(","))
        };
        let parts = ByteRanges::parse(Some(&header(MAX_RANGES)), 1 << 20);
        assert!(matches!(parts, ByteRanges::Parts(parts) if parts.len() == MAX_RANGES));
        let whole = ByteRanges::parse(Some(&header(MAX_RANGES + 1)), 1 << 20);
        assert_eq!(whole, ByteRanges::Whole);
    }

    #[test]
    fn a_chunk_range_needs_both_ends_in_order() {
        assert_eq!("0-4".parse(), Ok(ContentRange { first: 0, last: 4 }));
        assert_eq!(
            "bytes 5-9/10".parse(),
            Ok(ContentRange { first: 5, last: 9 })
        );
        for text in ["", "-", "4-", "-4", "4-0", "a-b", "0--4"] {
            assert!(text.parse::<ContentRange>().is_err(), "{text}");
        }
    }
}
