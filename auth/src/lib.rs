//! Who is calling: secrets, registry tokens and the throttle on guessing. How passwords are hashed stands in `tenancy`;
//! what a caller may do is `policy`'s affair; routes and status codes are the gateway's.

mod attempts;
pub mod identity;
pub mod scope;
pub mod secret;
pub mod throttle;
pub mod token;
pub mod verified;

/// Random bytes in hex, twice `N` characters, for names that nobody may guess.
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
