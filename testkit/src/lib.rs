//! What tests, soak tests and benchmarks start and talk to: servers, replicas, PostgreSQL, SeaweedFS, clients that
//! tell what they were answered, and a proxy that fails as it is told. For development only.
//!
//! Without its feature `client` this is nothing but Rust's standard library, so that `xtask` builds on a machine
//! with nothing but Rust.

#![expect(
    missing_docs,
    reason = "for the project's own tests, which read the source"
)]
#![expect(
    clippy::print_stdout,
    reason = "what is printed is for the person who runs the tests"
)]
#![cfg_attr(
    feature = "client",
    expect(clippy::future_not_send, reason = "clients run where they are awaited")
)]

pub mod backing;
pub mod balancer;
pub mod binary;
#[cfg(feature = "client")]
pub mod bulk;
pub mod cmd;
#[cfg(feature = "client")]
pub mod content;
pub mod daemon;
#[cfg(feature = "client")]
pub mod descriptors;
pub mod dice;
pub mod dockerd;
pub mod gantry;
#[cfg(feature = "client")]
pub mod harness;
pub mod lab;
pub mod layout;
#[cfg(feature = "client")]
pub mod meter;
pub mod netns;
pub mod pebble;
pub mod peer;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
#[cfg(feature = "client")]
pub mod proxy;
#[cfg(feature = "client")]
pub mod registry;
pub mod rsyslogd;
#[cfg(feature = "client")]
pub mod samba;
pub mod scratch;
pub mod seaweed;
pub mod slapd;
pub mod target;
pub mod topology;
pub mod trust;
pub mod workspace;
