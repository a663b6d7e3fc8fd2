//! Connections to addresses that users name: directories, and later identity providers, registries and webhooks. The
//! guard decides which networks they may lead to. What is spoken over a connection is its caller's affair.

mod connect;
mod error;
mod guard;
mod tls;

pub use connect::first_of;
pub use error::{Error, Result};
pub use guard::{Guard, Trust};
pub use tls::{Identity, Verification, client_config};
