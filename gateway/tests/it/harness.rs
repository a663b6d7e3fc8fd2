//! What a test needs to talk to a real Gantry: servers, clients, images, raw sockets.

mod bucket;
mod client;
mod image;
mod jwt;
mod object;
mod poll;
mod project;
mod raw;
pub(crate) mod raw_h2;
mod replicas;
mod server;
mod tls;

pub(crate) use bucket::Bucket;
pub(crate) use client::{Answer, Client, Failure, Protocol};
pub(crate) use image::{Image, image, index_of, noise, sha256, sha512};
pub(crate) use jwt::{Jwt, Signer};
pub(crate) use object::{objects, unnamed};
pub(crate) use poll::eventually;
pub(crate) use project::{PASSWORD, Project, Role, fresh, membership};
pub(crate) use raw::{Raw, RawAnswer};
pub(crate) use raw_h2::RawH2;
pub(crate) use replicas::{Replicas, database};
pub(crate) use server::{ADMIN_PASSWORD, Server, Shared, free_port, gantry};
pub(crate) use tls::Authority;

/// Media types that more than one test names.
pub(crate) mod media {
    pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(crate) const DOCKER_LIST: &str =
        "application/vnd.docker.distribution.manifest.list.v2+json";
}
