//! Replication: its policies, what they have copied, what is there to be copied, and what happened since they looked.

pub mod followed;
pub mod lag;
pub mod policy;
pub mod reach;
pub mod source;
pub mod state;
pub mod upload;
