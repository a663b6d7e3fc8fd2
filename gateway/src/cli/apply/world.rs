//! What objects of files are compared with, and made in: the installation, and what the same files make before them.

use std::collections::{BTreeSet, HashSet};

use db::project::Project;
use db::registry::Registry;
use model::ProjectName;
use policy::ProjectPermit;
use policy::on::On;
use policy::to::To;

use crate::cli::local::Local;
use crate::cli::project;

/// The installation, and what files make in it.
pub(super) struct World<'l> {
    /// The installation.
    pub(super) local: &'l Local,
    /// Projects that files name.
    pub(super) projects: HashSet<ProjectName>,
    /// Registries that files name.
    pub(super) registries: BTreeSet<String>,
}

impl World<'_> {
    /// The project of an object; `None` if it is still to be made.
    pub(super) async fn project(&self, name: &ProjectName) -> anyhow::Result<Option<Project>> {
        let mut reader = self.local.db.reader().await?;
        let found = db::project::by_name(&mut reader, name).await?;
        if found.is_none() && !self.projects.contains(name) {
            anyhow::bail!(
                "there is no project {name}: add a document of kind project, or correct the name"
            );
        }
        Ok(found)
    }

    /// The registry of a policy; `None` if it is still to be made.
    pub(super) async fn registry(&self, name: &str) -> anyhow::Result<Option<Registry>> {
        let mut reader = self.local.db.reader().await?;
        let found = db::registry::by_name(&mut reader, name).await?;
        if found.is_none() && !self.registries.contains(name) {
            anyhow::bail!(
                "there is no registry {name}: add a document of kind registry, or correct the name"
            );
        }
        Ok(found)
    }

    /// The command line's permit for a project: everything.
    pub(super) async fn permit<R: On, A: To>(
        &self,
        name: &ProjectName,
    ) -> anyhow::Result<ProjectPermit<R, A>> {
        project::permit(self.local, name).await
    }
}
