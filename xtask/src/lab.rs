//! The stage for real clients: Gantry in a network namespace, and an account that may push and delete
//! in the projects made for it.

use std::path::Path;

use crate::gantry::{Gantry, Role};
use crate::netns::Namespace;
use crate::scratch::Scratch;
use crate::topology::Topology;

/// A running stage. Fields are dropped in this order: server, network, files.
pub(crate) struct Lab {
    gantry: Gantry,
    _namespace: Namespace,
    scratch: Scratch,
}

impl Lab {
    pub(crate) fn start(
        binary: &Path,
        topology: Topology,
        projects: &[&str],
    ) -> Result<Self, String> {
        let scratch = Scratch::new("lab")?;
        let namespace = Namespace::new()?;
        let data = scratch.join("data");
        let gantry = Gantry::in_namespace(binary, &data, topology, &namespace)?;
        gantry.create_user(USER, PASSWORD)?;
        for project in projects {
            gantry.create_project(project)?;
            gantry.add_member(project, USER, Role::Maintainer)?;
        }
        Ok(Self {
            gantry,
            _namespace: namespace,
            scratch,
        })
    }

    pub(crate) fn gantry(&self) -> &Gantry {
        &self.gantry
    }

    /// Ends the server and looks at its log.
    pub(crate) fn finish(self) -> Result<String, String> {
        self.gantry.finish()
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> &str {
        self.gantry.address()
    }

    /// The full name of a repository.
    pub(crate) fn repository(&self, path: &str) -> String {
        format!("{}/{path}", self.host())
    }
}

/// The account that clients log in with, and its password.
pub(crate) const USER: &str = "builder";
pub(crate) const PASSWORD: &str = "Builder-test-12345";
