//! Replication between real registries: two servers, a chain of three, and distribution; and what it says of registries
//! that do not do their part.

mod attached;
mod between;
mod deletion;
mod events;
mod hostile;
mod label;
mod peer;
mod resumed;
mod site;
mod stopped;
mod topology;
mod trouble;
mod version;
