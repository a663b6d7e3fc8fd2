//! TLS material: a private authority, loading, hot reload and key files. Listeners, and handshakes with their time
//! limits, are in `gateway`.

mod authority;
mod decode;
mod error;
mod expiry;
mod file;
mod hot;
mod name;
mod reload;
mod server;

pub use authority::{Authority, Issued, LEAF_DAYS};
pub use error::{Error, Result};
pub use expiry::expiry_warning;
pub use file::{Pair, write_pair, write_public};
pub use hot::{HotCertificate, server_config};
pub use name::SubjectName;
pub use reload::{FileReloader, Reloaded};
pub use server::ServerCertificate;
