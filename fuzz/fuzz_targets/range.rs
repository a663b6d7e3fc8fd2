//! `Range` and `Content-Range`: no panic, no overflow, and parts lie within their body and apart.
#![no_main]

use gantry_model::{ByteRanges, ContentRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let ByteRanges::Parts(parts) = ByteRanges::parse(Some(text), size) {
        let mut total = 0_u64;
        for part in parts {
            assert!(part.first <= part.last && part.last < size);
            total += part.length();
        }
        assert!((1..=size).contains(&total));
    }
    if let Ok(range) = text.parse::<ContentRange>() {
        assert!(range.first <= range.last);
        assert!(range.length() >= 1);
    }
});
