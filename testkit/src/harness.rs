//! A Gantry of a test's own, and what a test needs to talk to it: clients, images, raw sockets. What goes wrong here panics.

mod bucket;
pub mod client;
mod collector;
mod image;
mod jwt;
mod mail;
mod object;
mod pebble;
mod poll;
mod project;
pub mod provider;
pub mod raw;
pub mod raw_h2;
mod replicas;
mod server;
pub mod tls;

pub use bucket::Bucket;
pub use client::{Answer, Client, Failure, Protocol, Request};
pub use collector::{Collector, Posted, Speech};
pub use image::{Blob, Image, image, index_of, noise, sha256, sha512};
pub use jwt::{Jwt, Signer};
pub use mail::{MailServer, Received};
pub use object::{objects, unnamed};
pub use pebble::{Asks, Pebble};
pub use poll::eventually;
pub use project::{PASSWORD, Project, Role, fresh, membership};
pub use provider::{Provider, ProviderBrowser};
pub use raw::{Raw, RawAnswer};
pub use raw_h2::RawH2;
pub use replicas::{Replicas, database};
pub use server::{ADMIN_PASSWORD, Server, Shared, free_port, gantry};
pub use tls::Authority;

/// Media types that more than one test names.
pub mod media {
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
}
