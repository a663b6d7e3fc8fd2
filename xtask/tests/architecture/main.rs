//! What may depend on what: crates on crates, and modules of a crate on one another; and what stands in one place.

mod crates;
mod findings;
mod metadata;
mod modules;
mod places;
