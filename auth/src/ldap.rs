//! Directories that speak LDAP, Active Directory among them: people and groups are searched, and passwords checked by
//! binding. Which directory is asked, and what becomes of its people here, is [`crate::directory`]; signing in is
//! [`crate::source`].
//!
//! Who may wait for a directory: whoever signs in with a password that is not proven yet, readings, and whoever asks for
//! a search. Robots, local users, tokens, sessions and proven passwords never do.

mod answer;
mod config;
mod connection;
mod entry;
mod error;
mod filter;
mod message;
mod person;
mod pool;
mod probe;
mod server;
mod wire;

pub(crate) use config::seconds;
pub use config::{Config, Lookup};
pub use error::{Error, Result};
pub use person::{FoundGroup, FoundPerson};
pub use probe::{Finding, Step};
pub use server::Server;
