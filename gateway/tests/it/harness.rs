//! What a test needs to talk to a real Gantry.

pub(crate) use testkit::harness::*;
