//! What a server under test consists of.

use std::fmt;

/// One process, or several on shared storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topology {
    /// One process with files and SQLite: the default settings.
    Files,
    /// Two processes on PostgreSQL and S3 storage, behind a balancer that alternates.
    Replicas,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Replicas => "replicas",
        })
    }
}
