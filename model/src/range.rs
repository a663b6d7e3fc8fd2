//! The two range headers of the registry protocol: `Range` on pulls, `Content-Range` on chunks.

use std::str::FromStr;

/// What a `Range` request header asks of a body of known size (RFC 9110, section 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// No range, several ranges, or a unit other than bytes: the whole body with 200.
    Whole,
    /// One range, both ends included: 206.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// A range outside the body: 416.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a header value against a body of `size` bytes. A malformed header is ignored, as the
    /// RFC asks.
    pub fn parse(header: Option<&str>, size: u64) -> Self {
        let Some(ranges) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
            return Self::Whole;
        };
        if ranges.contains(',') {
            return Self::Whole;
        }
        let Some((first, last)) = ranges.trim().split_once('-') else {
            return Self::Whole;
        };
        match (number(first), number(last)) {
            (Some(first), _) if last.is_empty() => Self::part(first, u64::MAX, size),
            (Some(first), Some(last)) if first <= last => Self::part(first, last, size),
            (Some(_), Some(_)) => Self::Unsatisfiable,
            (None, Some(length)) if first.is_empty() => Self::suffix(length, size),
            _ => Self::Whole,
        }
    }

    fn part(first: u64, last: u64, size: u64) -> Self {
        if first >= size {
            return Self::Unsatisfiable;
        }
        Self::Part {
            first,
            last: last.min(size - 1),
        }
    }

    fn suffix(length: u64, size: u64) -> Self {
        if length == 0 || size == 0 {
            return Self::Unsatisfiable;
        }
        Self::Part {
            first: size.saturating_sub(length),
            last: size - 1,
        }
    }
}

/// Digits only; a number too large for 64 bits counts as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// The place of a chunk in an upload: `first-last`, both included, as the distribution
/// specification's "Pushing a blob in chunks" section writes it; `bytes first-last/total` is
/// understood as well.
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
            let _ = ByteRange::parse(Some(&text), size);
            let _ = text.parse::<ContentRange>();
        }

        #[test]
        fn a_part_lies_within_the_body(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let ByteRange::Part { first, last } = ByteRange::parse(Some(&text), size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }

    #[test]
    fn every_form_is_understood() {
        let part = |first, last| ByteRange::Part { first, last };
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=5-99", part(5, 9)),
            ("bytes=10-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=5-2", ByteRange::Unsatisfiable),
            ("bytes=0-1,3-4", ByteRange::Whole),
            ("items=0-1", ByteRange::Whole),
            ("bytes=a-b", ByteRange::Whole),
            ("bytes=-", ByteRange::Whole),
        ] {
            assert_eq!(ByteRange::parse(Some(header), 10), expected, "{header}");
        }
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
