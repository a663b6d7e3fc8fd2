//! Replication: other registries, and policies by which artifacts are copied to them or from them. How they are copied is
//! a job's affair.

mod filter;
mod mapping;
mod policy;
mod version;

use serde::{Deserialize, Serialize};

use crate::ReplicationPolicyId;

pub use filter::{FilterText, Filters, InvalidFilter};
pub use mapping::{InvalidMapping, Mapping};
pub use policy::{Direction, InvalidPolicy, PolicyContent, TriggerKind};
pub use version::TagState;

/// A run that the schedule of a policy asks for; the job that begins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// The policy.
    pub policy: ReplicationPolicyId,
}

impl ScheduledRun {
    /// The kind of the job.
    pub const JOB: &'static str = "replication_start";
    /// The version of this form.
    pub const VERSION: i64 = 1;
}

/// The kinds of registries that are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistryKind {
    /// Harbor or Gantry, whose REST API is used besides.
    Harbor,
    /// Any registry of the OCI distribution specification.
    Docker,
    /// Docker Hub, as any other one, at the host of its registry. It has no catalog.
    DockerHub,
    /// Azure Container Registry, as any other one.
    Azure,
    /// GitHub's, as any other one. It has no catalog.
    GitHub,
    /// Google's, as any other one.
    Google,
    /// JFrog Artifactory, as any other one.
    JFrog,
}

impl RegistryKind {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::Azure,
        Self::DockerHub,
        Self::Docker,
        Self::GitHub,
        Self::Google,
        Self::Harbor,
        Self::JFrog,
    ];

    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Harbor => "harbor",
            Self::Docker => "docker-registry",
            Self::Azure => "azure-acr",
            Self::DockerHub => "docker-hub",
            Self::GitHub => "github-ghcr",
            Self::Google => "google-gcr",
            Self::JFrog => "jfrog-artifactory",
        }
    }

    /// The kind with Harbor's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether projects, labels and accessories are asked for by the REST API.
    pub const fn has_projects(self) -> bool {
        matches!(self, Self::Harbor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name_and_the_list_is_sorted() {
        let names = RegistryKind::ALL.map(RegistryKind::name);
        assert!(names.is_sorted());
        for kind in RegistryKind::ALL {
            assert_eq!(RegistryKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(RegistryKind::from_name("zzz"), None);
    }
}
