//! The stage for real clients: Gantry in a network namespace, and an account that may push and delete
//! in the projects made for it.

use crate::gantry::{Binary, Gantry};
use crate::netns::Namespace;
use crate::scratch::Scratch;
use crate::topology::Topology;

/// A running stage. Fields are dropped in this order: server, network, files.
pub struct Lab {
    gantry: Gantry,
    _namespace: Namespace,
    scratch: Scratch,
}

impl Lab {
    pub fn start(binary: &Binary, topology: Topology, projects: &[&str]) -> Result<Self, String> {
        let scratch = Scratch::new("lab")?;
        let namespace = Namespace::new()?;
        let data = scratch.join("data");
        let gantry = Gantry::in_namespace(binary, &data, topology, &namespace)?;
        gantry.target.create_user(USER, PASSWORD)?;
        for project in projects {
            gantry.target.create_project(project)?;
            gantry.target.add_maintainer(project, USER)?;
        }
        Ok(Self {
            gantry,
            _namespace: namespace,
            scratch,
        })
    }

    pub fn gantry(&self) -> &Gantry {
        &self.gantry
    }

    /// Ends the server and looks at its log.
    pub fn finish(self) -> Result<String, String> {
        self.gantry.finish()
    }

    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> &str {
        self.gantry.address()
    }

    /// The full name of a repository.
    pub fn repository(&self, path: &str) -> String {
        format!("{}/{path}", self.host())
    }
}

/// The account that clients log in with, and its password.
pub const USER: &str = "builder";
pub const PASSWORD: &str = "Builder-test-12345";
