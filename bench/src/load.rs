//! What our own clients do to a server while it is measured.

pub(crate) mod account;
pub(crate) mod deletion;
pub(crate) mod large;
pub(crate) mod page;
pub(crate) mod quota;
pub(crate) mod s3;
pub(crate) mod small;
