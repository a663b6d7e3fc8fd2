//! Who is calling: passwords, secrets, registry tokens and the throttle on guessing.
//! What a caller may do is `policy`'s affair; routes and status codes are the gateway's.

pub mod password;
pub mod scope;
pub mod secret;
pub mod throttle;
pub mod token;
pub mod verified;
