//! `gantry repository`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::repository;
use model::{ProjectName, RepositoryName};
use policy::{Action, Resource};

use super::local::Local;
use super::out::line;
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's repositories.
    List {
        /// The project's name.
        project: ProjectName,
    },
    /// Delete a repository with all its tags and manifests. Its blobs are garbage collected.
    Delete {
        /// Its name, project included.
        name: RepositoryName,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project } => list(local, &project).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(local: &Local, name: &ProjectName) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let project = project::find(&mut tx, name).await?.id;
    let (repositories, _) = repository::list(&mut tx, project, &Selection::all()).await?;
    for repository in repositories {
        line(&format!(
            "{} {} artifacts, {} pulls",
            repository.name, repository.artifacts, repository.pulls
        ));
    }
    Ok(())
}

async fn delete(local: &Local, name: &RepositoryName) -> anyhow::Result<()> {
    let (project, resource) = (name.project(), Resource::Repository);
    let permit = project::permit(local, &project, resource, Action::Delete).await?;
    let deleted = registry::repository::delete(&local.db, &permit, name, local.now());
    anyhow::ensure!(deleted.await?, "there is no repository {name}");
    line(&format!("repository {name} is deleted"));
    Ok(())
}
