//! Connections to addresses that users name: directories, identity providers, and later registries and webhooks. The
//! guard decides which networks they may reach. The protocol over a connection is up to the caller.

mod connect;
mod document;
mod error;
mod guard;
mod http;
mod place;
mod post;
mod stream;
mod tls;

pub use connect::first_of;
pub use error::{Error, Result};
pub use guard::{Guard, Trust};
pub use http::HttpClient;
pub use post::{Certificate, Posted, Poster};
pub use stream::{BodyError, Received, SentBody, StreamClient, full, streamed};
pub use tls::{Identity, Verification, client_config, secured};
