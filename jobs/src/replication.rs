//! Replication: copying artifacts, with all that belongs to them, to other registries and from them.
//!
//! **A policy is a desired state.** A run lists what the source has, compares it with the destination, and copies what is
//! missing: so it does not matter whether an event was lost, a process died, or somebody deleted a copy. What was copied
//! is noted in `replication_state`; only that is ever deleted at a destination.
//!
//! **One job runs an execution.** It plans, one task for each repository, in parts that may be repeated; then it works on
//! several tasks at a time. A process that takes the job over goes on with the tasks that have not ended. All steps of a
//! task are harmless to repeat.
//!
//! **Order within an artifact.** Blobs and what an index lists come before the manifest, by its digest; then what is
//! attached to it, and to what it lists; its tags at last. So a tag is never seen before all that it leads to.

mod blob;
mod chunk;
mod copy;
mod delete;
mod error;
mod failures;
mod follow;
mod health;
mod here;
mod journal;
mod label;
mod list;
mod order;
mod plan;
mod reach;
mod run;
mod scheduled;
mod site;
mod speed;
mod start;
mod task;
mod told;
mod version;
mod works;

pub use self::error::CopyError;
pub(crate) use self::follow::Follow;
pub(crate) use self::health::RegistryHealth;
pub use self::health::check;
pub use self::order::{Change, Order};
pub use self::reach::{OwnSite, own_site};
pub(crate) use self::run::ReplicationRun;
pub(crate) use self::scheduled::ScheduledStart;
pub use self::start::{retry, start, stop};
pub use self::task::TaskAttrs;
pub(crate) use self::works::Works;
