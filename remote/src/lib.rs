//! Other registries: one client of the distribution specification with what Harbor and Gantry serve besides. Connections
//! pass the guard of `outgoing`, redirects and token services included. What is copied, and why, is not decided here.
//!
//! Bytes are streams: a download goes on where it broke off, and is compared with its digest before its last byte is
//! handed on, so that wrong bytes complete nothing. Requests that can be repeated are, with growing waits, where the
//! registry is overloaded or cannot be reached.

mod api;
mod auth;
mod blob;
mod bounds;
mod challenge;
mod client;
mod error;
mod harbor;
mod link;
mod list;
mod location;
mod manifest;
mod ping;
mod referrers;
mod retry;
mod target;
mod upload;
mod verified;
mod version;

pub use auth::Credentials;
pub use blob::Bytestream;
pub use client::Remote;
pub use error::{Error, Result};
pub use harbor::{RemoteArtifact, RemoteLabel, RemoteTag};
pub use manifest::RemoteManifest;
pub use retry::Patience;
pub use target::Target;
pub use upload::{Begun, Upload};
pub use verified::verified;
pub use version::{RemoteSite, Sent};

/// How requests name their sender. It is Harbor's name, which it and Gantry know: what a registry reads for its copies
/// counts as no pull.
const AGENT: &str = "harbor-registry-client";
