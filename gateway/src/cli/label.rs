//! `gantry label`: labels of the installation and of projects.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use db::label::{self, Label};
use db::list::{Selection, Test};
use model::{LabelId, NewLabel, ProjectName, Reference, RepositoryName};
use policy::to::To;
use serde_json::json;
use tenancy::label::LabelPermit;

use super::local::{self, Local};
use super::out::{self, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the labels of the installation, or of a project.
    List {
        /// The project's name.
        #[arg(long, value_name = "NAME")]
        project: Option<ProjectName>,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Create a label.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        content: Content,
    },
    /// Change a label; options that are left out change nothing.
    Set {
        /// Its name.
        name: String,
        /// Another name.
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[command(flatten)]
        content: Content,
    },
    /// Delete a label, and remove it from all artifacts.
    Delete {
        /// Its name.
        name: String,
        /// The project's name; without it, a label of the installation.
        #[arg(long, value_name = "NAME")]
        project: Option<ProjectName>,
    },
    /// Put a label on an artifact: a label of its project, else one of the installation.
    Add(Marked),
    /// Remove a label from an artifact.
    Remove(Marked),
}

/// A label's fields besides its name.
#[derive(Args)]
pub(super) struct Content {
    /// The project's name; without it, a label of the installation.
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// Its description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its color: #RRGGBB.
    #[arg(long, value_name = "COLOR")]
    color: Option<String>,
}

/// An artifact and a label.
#[derive(Args)]
pub(super) struct Marked {
    /// The repository, project included.
    repository: RepositoryName,
    /// A tag or a digest.
    reference: Reference,
    /// The label's name.
    label: String,
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project, json } => list(local, project.as_ref(), json).await?,
            Self::Create { name, content } => create(local, &name, content).await?,
            Self::Set {
                name,
                rename,
                content,
            } => set(local, &name, rename, content).await?,
            Self::Delete { name, project } => delete(local, &name, project.as_ref()).await?,
            Self::Add(marked) => marked.add(local).await?,
            Self::Remove(marked) => marked.remove(local).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The command line's permit for labels of a scope: everything.
pub(super) async fn permit<A: To>(
    local: &Local,
    project: Option<&ProjectName>,
) -> anyhow::Result<LabelPermit<A>> {
    Ok(match project {
        None => LabelPermit::Installation(local::system()?),
        Some(name) => LabelPermit::Project(project::permit(local, name).await?),
    })
}

/// The labels of a scope.
async fn all(
    local: &Local,
    project: Option<&ProjectName>,
    selection: Selection,
) -> anyhow::Result<Vec<Label>> {
    let mut reader = local.db.reader().await?;
    let project = match project {
        Some(name) => Some(project::find(&mut reader, name).await?.id),
        None => None,
    };
    Ok(label::list(&mut reader, project, &selection).await?.0)
}

/// The label with a name in a scope.
pub(super) async fn find(
    local: &Local,
    project: Option<&ProjectName>,
    name: &str,
) -> anyhow::Result<Option<Label>> {
    let named = Selection::all().with(label::NAME, Test::Is(name.to_owned()));
    Ok(all(local, project, named).await?.pop())
}

async fn existing(
    local: &Local,
    project: Option<&ProjectName>,
    name: &str,
) -> anyhow::Result<Label> {
    let found = find(local, project, name).await?;
    found.with_context(|| match project {
        Some(project) => format!("project {project} has no label {name}"),
        None => format!("the installation has no label {name}: name its project with --project"),
    })
}

async fn list(local: &Local, project: Option<&ProjectName>, json: bool) -> anyhow::Result<()> {
    let labels = all(local, project, Selection::all()).await?;
    if json {
        let values = labels.iter().map(|label| {
            json!({
                "id": label.id, "name": label.name, "description": label.description, "color": label.color,
                "project_id": label.project, "creation_time": label.created_at.to_string(),
                "update_time": label.updated_at.to_string(),
            })
        });
        let values: Vec<_> = values.collect();
        return Ok(out::json_lines(&values)?);
    }
    for label in labels {
        let color = Some(&*label.color).filter(|color| !color.is_empty());
        let (id, name) = (label.id, label.name);
        line(&format!(
            "{id:>6} {} {name} {}",
            color.unwrap_or("-"),
            label.description
        ));
    }
    Ok(())
}

async fn create(local: &Local, name: &str, content: Content) -> anyhow::Result<()> {
    let permit = permit(local, content.project.as_ref()).await?;
    let description = content.description.unwrap_or_default();
    let new = NewLabel::new(name, description, content.color.unwrap_or_default())?;
    let id = tenancy::label::create(&local.db, &permit, new, local.now()).await?;
    line(&format!("label {name} has id {id}"));
    Ok(())
}

async fn set(
    local: &Local,
    name: &str,
    rename: Option<String>,
    content: Content,
) -> anyhow::Result<()> {
    let project = content.project.as_ref();
    let before = existing(local, project, name).await?;
    let permit = permit(local, project).await?;
    let new = NewLabel::new(
        &rename.unwrap_or(before.name),
        content.description.unwrap_or(before.description),
        content.color.unwrap_or(before.color),
    )?;
    tenancy::label::change(&local.db, &permit, before.id, new, local.now()).await?;
    line(&format!("label {name} is changed"));
    Ok(())
}

async fn delete(local: &Local, name: &str, project: Option<&ProjectName>) -> anyhow::Result<()> {
    let label = existing(local, project, name).await?;
    let permit = permit(local, project).await?;
    tenancy::label::delete(&local.db, &permit, label.id, local.now()).await?;
    line(&format!("label {name} is deleted"));
    Ok(())
}

impl Marked {
    /// The label: of the project, else of the installation.
    async fn label(&self, local: &Local) -> anyhow::Result<LabelId> {
        let project = self.repository.project();
        let own = find(local, Some(&project), &self.label).await?;
        let found = match own {
            Some(own) => Some(own),
            None => find(local, None, &self.label).await?,
        };
        let missing = || {
            let label = &self.label;
            format!("neither project {project} nor the installation has a label {label}")
        };
        Ok(found.with_context(missing)?.id)
    }

    async fn add(self, local: &Local) -> anyhow::Result<()> {
        let label = self.label(local).await?;
        let permit = project::permit(local, &self.repository.project()).await?;
        let artifact = (self.repository, self.reference);
        tenancy::label::attach(&local.db, &permit, artifact, label, local.now()).await?;
        line(&format!("label {} is added", self.label));
        Ok(())
    }

    async fn remove(self, local: &Local) -> anyhow::Result<()> {
        let label = self.label(local).await?;
        let permit = project::permit(local, &self.repository.project()).await?;
        let artifact = (self.repository, self.reference);
        tenancy::label::detach(&local.db, &permit, artifact, label, local.now()).await?;
        line(&format!("label {} is removed", self.label));
        Ok(())
    }
}
