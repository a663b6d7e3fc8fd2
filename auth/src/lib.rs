//! Authentication: passwords, registry tokens, sessions and the throttle on guessing. `policy` decides what a caller may
//! do; routes and status codes are in the gateway.

pub mod allowance;
mod attempts;
mod basic;
mod bearer;
pub mod csrf;
pub mod directory;
mod error;
pub mod identity;
pub mod ldap;
mod login;
pub mod oidc;
mod password;
mod proof;
pub mod scope;
mod sender;
pub mod session;
mod source;
pub mod throttle;
pub mod token;
mod verified;
pub mod workload;

pub use bearer::Issued;
pub use error::{Error, Result};
pub use sender::{Place, Sender};

/// Random bytes in hex, twice `N` characters, for names that must not be guessable.
///
/// # Panics
///
/// When the system gives no random bytes.
pub fn random_hex<const N: usize>() -> String {
    hex::encode(random::<N>())
}

/// Random bytes from the system's cryptographic source.
///
/// # Panics
///
/// When the system gives none.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
