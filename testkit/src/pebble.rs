//! Where the ACME server of tests is, and the DNS server that it asks. `harness` starts them.

/// Names the ACME server's program.
pub const PEBBLE: &str = "GANTRY_TEST_PEBBLE";
/// Names the DNS server's program.
pub const CHALLTESTSRV: &str = "GANTRY_TEST_CHALLTESTSRV";
