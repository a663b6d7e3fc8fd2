//! Certificate and key files: no panic, whatever they hold. Operators bring them, and half-written ones occur.
#![no_main]

use gantry_certs::{Authority, ServerCertificate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let (certificate, key) = texts;
    let _ = ServerCertificate::from_pem(certificate, key);
    let _ = Authority::from_pem(certificate, key);
});
