//! What a server under test consists of.

use std::fmt;
use std::str::FromStr;

/// One process, or several on shared storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    /// One process with files and SQLite: the default settings.
    Files,
    /// Two processes on PostgreSQL and S3 storage, behind a balancer that alternates.
    Replicas,
}

impl Topology {
    pub const ALL: [Self; 2] = [Self::Files, Self::Replicas];

    pub fn these_or_all(these: &[Self]) -> Vec<Self> {
        match these {
            [] => Self::ALL.to_vec(),
            these => these.to_vec(),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Replicas => "replicas",
        })
    }
}

impl FromStr for Topology {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|it| it.to_string() == text);
        known.ok_or(format!("{text} is neither files nor replicas"))
    }
}

#[cfg(test)]
mod tests {
    use super::Topology;

    #[test]
    fn every_topology_is_read_as_it_is_written() {
        for topology in Topology::ALL {
            assert_eq!(topology.to_string().parse(), Ok(topology));
        }
        assert!("cluster".parse::<Topology>().is_err());
    }
}
