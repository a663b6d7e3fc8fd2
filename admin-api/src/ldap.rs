//! The directory: testing it, and searching and importing its people and groups.

pub(crate) mod group;
pub(crate) mod ping;
pub(crate) mod user;
