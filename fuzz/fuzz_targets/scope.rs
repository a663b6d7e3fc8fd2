//! `scope` parameters of token requests: no panic, the limits hold, and what parses prints back unchanged.
#![no_main]

use gantry_auth::scope::{MOST_SCOPES, Scope, parse_scopes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parameters: Vec<&str>| {
    let scopes = parse_scopes(parameters.iter().copied());
    assert!(scopes.len() <= MOST_SCOPES);
    let words = parameters.iter().flat_map(|text| text.split(' '));
    let words = words.filter(|word| !word.is_empty()).take(MOST_SCOPES);
    let sound: Vec<_> = words.filter(|word| word.parse::<Scope>().is_ok()).collect();
    let printed: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    assert_eq!(printed, sound);
});
