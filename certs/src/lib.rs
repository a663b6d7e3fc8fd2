//! TLS material: a private authority, loading, hot reload and key files, requests and proofs for ACME, and the
//! certificates of clients. Listeners, and handshakes with their time limits, are in `gateway`; ACME is a job.

mod authority;
mod chain;
mod challenge;
mod client;
mod decode;
mod error;
mod expiry;
mod file;
mod hot;
mod name;
mod reload;
mod request;
mod server;
mod tls;

pub use authority::{Authority, Issued, LEAF_DAYS, Use};
pub use chain::{Roots, findings, findings_in_use};
pub use challenge::{ChallengeCertificate, proves};
pub use client::{ClientCertificate, ClientTrust, Refused, TrustFiles};
pub use error::{Error, Result};
pub use expiry::expiry_warning;
pub use file::{Pair, write_pair, write_public};
pub use hot::{HotCertificates, Presented, Source};
pub use name::SubjectName;
pub use reload::{FileReloader, Reloaded, TrustReloader};
pub use request::{new_key, request};
pub use server::{Chain, ServerCertificate};
pub use tls::{Tls, challenged_name, was_challenge};
