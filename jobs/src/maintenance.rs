//! Work on the whole installation that operators start by a command: backups, checks, imports and moves of blobs.

pub mod backup;
pub mod check;
pub mod import;
pub mod moving;
pub mod progress;
