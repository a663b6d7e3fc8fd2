//! Replication: policies, their executions, and tasks with their logs.

pub(crate) mod execution;
pub(crate) mod policy;
pub(crate) mod task;
pub(crate) mod version;
mod words;
