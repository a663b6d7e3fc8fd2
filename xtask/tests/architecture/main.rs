//! What may depend on what: crates on crates, and modules of a crate on one another.

mod crates;
mod metadata;
mod modules;
