//! `gantry project`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::project::Project;
use db::{Reader, binding, project, quota, untagged};
use model::{ProjectId, ProjectName, StorageLimit, Timestamp};
use policy::on::On;
use policy::to::To;
use policy::{Caller, ProjectCreation, ProjectDeletion, ProjectPermit, permit};
use serde::Serialize;
use tenancy::Error;
use tenancy::project::NewProject;

use super::local::{self, Local};
use super::out::{json_lines, line};
use super::parse::{bytes_or_none, span};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a project, owned by admin.
    Create {
        /// Its name.
        name: ProjectName,
        /// Let everyone pull from it, even without signing in.
        #[arg(long)]
        public: bool,
    },
    /// List projects.
    List,
    /// Delete a project without repositories.
    Delete {
        /// Its name.
        name: ProjectName,
    },
    /// List deleted projects that can be restored.
    Deleted {
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Restore a deleted project with its settings, labels, immutability rules and members, but without its robots,
    /// retention policy, webhooks and workload rules.
    Restore {
        /// Its ID, as `deleted` shows it.
        id: i64,
    },
    /// Show a project's usage and quota, or change the quota.
    Quota {
        /// The project's name.
        name: ProjectName,
        /// The quota: bytes, or a number with KiB, MiB, GiB or TiB; `none` for no limit. If it is below the current
        /// usage, the project accepts no more data.
        #[arg(long, value_parser = bytes_or_none)]
        limit: Option<StorageLimit>,
    },
    /// Show how long a project keeps untagged manifests, or change it. Manifests that an index lists, or whose
    /// subject exists, are kept with it.
    Untagged {
        /// The project's name.
        name: ProjectName,
        /// Delete untagged manifests after this time: a number and s, m, h or d.
        #[arg(long, value_parser = span, conflicts_with = "keep")]
        delete_after: Option<i64>,
        /// Keep untagged manifests forever.
        #[arg(long)]
        keep: bool,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create { name, public } => create(local, name, public).await?,
            Self::List => list(local).await?,
            Self::Delete { name } => delete(local, name).await?,
            Self::Deleted { json } => deleted(local, json).await?,
            Self::Restore { id } => restore(local, ProjectId(id)).await?,
            Self::Quota { name, limit } => set_quota(local, name, limit).await?,
            Self::Untagged {
                name,
                delete_after,
                keep,
            } => untagged(local, name, delete_after, keep).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The project with this name.
pub(super) async fn find(reader: &mut Reader, name: &ProjectName) -> anyhow::Result<Project> {
    let found = project::by_name(reader, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no project {name}"))
}

/// The command line's permit for the project with a name: everything.
pub(super) async fn permit<R: On, A: To>(
    local: &Local,
    name: &ProjectName,
) -> anyhow::Result<ProjectPermit<R, A>> {
    let (mut reader, caller) = (local.db.reader().await?, Caller::command_line());
    let facts = find(&mut reader, name).await?.facts();
    let standing = binding::standing_in(&mut reader, &caller, facts).await?;
    Ok(permit::permit_project(&caller, Some(&standing))?)
}

async fn create(local: &Local, name: ProjectName, public: bool) -> anyhow::Result<()> {
    let permit = permit::permit_create_project(&Caller::command_line(), ProjectCreation::Admins)?;
    let limit = local.settings().await?.current().new_project_limit();
    let new = NewProject::named(name.clone(), public, limit);
    let id = tenancy::project::create(&local.db, &permit, new, local.now()).await?;
    line(&format!("project {name} has id {id}"));
    Ok(())
}

async fn list(local: &Local) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    for project in project::all(&mut tx).await? {
        let public = if project.public { "public" } else { "private" };
        line(&format!(
            "{:>6} {} {public} {} repositories",
            project.id, project.name, project.repositories
        ));
    }
    Ok(())
}

async fn delete(local: &Local, name: ProjectName) -> anyhow::Result<()> {
    let permit = permit(local, &name).await?;
    let everyone = ProjectDeletion::Everyone;
    let deleted = tenancy::project::delete(&local.db, &permit, everyone, local.now()).await;
    deleted.map_err(|error| match error {
        Error::ProjectHoldsArtifacts(name) => anyhow::anyhow!(
            "project {name} holds artifacts: delete its repositories first (gantry repository list {name})"
        ),
        other => other.into(),
    })?;
    line(&format!("project {name} is deleted"));
    Ok(())
}

/// A deleted project as it is listed.
#[derive(Serialize)]
struct Shown {
    id: i64,
    name: String,
    owner: String,
    deleted_at: String,
    name_taken: bool,
}

/// The time of deletion from which projects can still be restored.
async fn restorable_since(local: &Local) -> anyhow::Result<Timestamp> {
    let restorable = local.settings().await?.current().project_restorable();
    Ok(local.now().minus(restorable))
}

async fn deleted(local: &Local, json: bool) -> anyhow::Result<()> {
    let since = restorable_since(local).await?;
    let mut reader = local.db.reader().await?;
    let (found, _) = project::deleted::list(&mut reader, since, &Selection::all()).await?;
    let shown = found.into_iter().map(|project| Shown {
        id: project.id.0,
        name: project.name.to_string(),
        owner: project.owner_name,
        deleted_at: project.deleted_at.to_string(),
        name_taken: project.is_taken,
    });
    let shown: Vec<Shown> = shown.collect();
    if json {
        return Ok(json_lines(&shown)?);
    }
    for project in shown {
        let taken = match project.name_taken {
            true => ", its name is taken",
            false => "",
        };
        let Shown {
            id,
            name,
            owner,
            deleted_at,
            ..
        } = project;
        line(&format!(
            "{id:>6} {name} of {owner}, deleted {deleted_at}{taken}"
        ));
    }
    Ok(())
}

async fn restore(local: &Local, id: ProjectId) -> anyhow::Result<()> {
    let (since, permit) = (restorable_since(local).await?, local::system()?);
    let name = tenancy::project::restore(&local.db, &permit, (id, since), local.now()).await?;
    line(&format!("project {name} is restored"));
    Ok(())
}

async fn set_quota(
    local: &Local,
    name: ProjectName,
    limit: Option<StorageLimit>,
) -> anyhow::Result<()> {
    let project = find(&mut local.db.reader().await?, &name).await?;
    if let Some(limit) = limit {
        let (permit, now) = (local::system()?, local.now());
        tenancy::quota::set(&local.db, &permit, project.id, limit, now).await?;
    }
    let mut tx = local.db.reader().await?;
    let project = find(&mut tx, &name).await?;
    let used = quota::used(&mut tx, project.id).await?;
    line(&match project.storage_limit {
        ..0 => format!("{name} holds {used} bytes, without a limit"),
        limit => format!("{name} holds {used} of {limit} bytes"),
    });
    Ok(())
}

async fn untagged(
    local: &Local,
    name: ProjectName,
    delete_after: Option<i64>,
    keep: bool,
) -> anyhow::Result<()> {
    if delete_after.is_some() || keep {
        let permit = permit(local, &name).await?;
        tenancy::project::set_untagged(&local.db, &permit, delete_after, local.now()).await?;
    }
    let mut tx = local.db.reader().await?;
    let project = find(&mut tx, &name).await?.id;
    line(&match untagged::policy(&mut tx, project).await? {
        Some(secs) => format!("{name}: untagged manifests are deleted after {secs} s"),
        None => format!("{name}: untagged manifests are kept"),
    });
    Ok(())
}
