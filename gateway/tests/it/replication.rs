//! Replication between real registries: two servers, a chain of three, and distribution; and what it says of registries
//! that do not do their part.

mod between;
mod deletion;
mod events;
mod hostile;
mod peer;
mod site;
mod trouble;
