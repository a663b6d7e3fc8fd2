//! LDAP directories, including Active Directory: searching people and groups, and checking passwords by binding. Which
//! directory is asked, and its people as users, is in [`crate::directory`]; signing in is in [`crate::source`].
//!
//! Only sign-ins with a password that is not confirmed yet, readings, and searches wait for a directory. Robots, local
//! users, tokens, sessions and confirmed passwords never do.

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
