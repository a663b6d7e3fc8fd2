//! `gantry repository`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::repository::{self, Repository};
use model::{ProjectName, RepositoryName};
use serde::Serialize;

use super::local::Local;
use super::out::{json_lines, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's repositories.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Show or change a repository's description.
    Describe {
        /// Its name, project included.
        name: RepositoryName,
        /// The new description, as Markdown; empty for none.
        #[arg(long)]
        description: Option<String>,
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
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Describe { name, description } => describe(local, &name, description).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Serialize)]
struct Row {
    artifacts: i64,
    creation_time: String,
    description: String,
    name: String,
    pulls: i64,
    update_time: String,
}

impl From<&Repository> for Row {
    fn from(repository: &Repository) -> Self {
        Self {
            artifacts: repository.artifacts,
            creation_time: repository.created_at.to_string(),
            description: repository.description.clone(),
            name: repository.name.to_string(),
            pulls: repository.pulls,
            update_time: repository.updated_at.to_string(),
        }
    }
}

async fn list(local: &Local, name: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let project = project::find(&mut tx, name).await?.id;
    let (repositories, _) = repository::list(&mut tx, project, &Selection::all()).await?;
    if json {
        let rows: Vec<Row> = repositories.iter().map(Row::from).collect();
        return Ok(json_lines(&rows)?);
    }
    for repository in repositories {
        line(&format!(
            "{} {} artifacts, {} pulls",
            repository.name, repository.artifacts, repository.pulls
        ));
    }
    Ok(())
}

async fn describe(
    local: &Local,
    name: &RepositoryName,
    description: Option<String>,
) -> anyhow::Result<()> {
    let unknown = || anyhow::anyhow!("there is no repository {name}");
    let Some(text) = description else {
        let mut reader = local.db.reader().await?;
        let project = project::find(&mut reader, &name.project()).await?.id;
        let found = repository::by_name(&mut reader, project, name).await?;
        for text in found.ok_or_else(unknown)?.description.lines() {
            line(text);
        }
        return Ok(());
    };
    let permit = project::permit(local, &name.project()).await?;
    let described =
        registry::repository::describe(&local.db, &permit, name, text, local.now()).await?;
    anyhow::ensure!(described, unknown());
    line(&format!("repository {name} is described"));
    Ok(())
}

async fn delete(local: &Local, name: &RepositoryName) -> anyhow::Result<()> {
    let permit = project::permit(local, &name.project()).await?;
    let deleted = registry::repository::delete(&local.db, &permit, name, local.now());
    anyhow::ensure!(deleted.await?, "there is no repository {name}");
    line(&format!("repository {name} is deleted"));
    Ok(())
}
