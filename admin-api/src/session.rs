//! Sessions of browsers.

pub(crate) mod own;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod user_exists;
