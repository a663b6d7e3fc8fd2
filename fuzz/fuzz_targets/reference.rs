//! References after `/manifests/`: no panic, what parses prints back unchanged, and a colon means a digest.
#![no_main]

use gantry_model::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
        assert_eq!(
            matches!(reference, Reference::Digest(_)),
            text.contains(':')
        );
    }
});
