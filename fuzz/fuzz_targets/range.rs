//! `Range` and `Content-Range`: no panic, no overflow, and a part lies within its body.
#![no_main]

use gantry_model::{ByteRange, ContentRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let ByteRange::Part { first, last } = ByteRange::parse(Some(text), size) {
        assert!(first <= last && last < size);
    }
    if let Ok(range) = text.parse::<ContentRange>() {
        assert!(range.first <= range.last);
        assert!(range.length() >= 1);
    }
});
