//! `gantry project`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::member::Member;
use db::project::Project;
use db::{Reader, binding, member, project, quota, untagged, user};
use model::{PrincipalId, ProjectId, ProjectName, StorageLimit};
use policy::on::On;
use policy::to::To;
use policy::{Caller, ProjectCreation, ProjectPermit, Role, permit};
use tenancy::Error;
use tenancy::project::NewProject;

use super::local::{self, Local};
use super::out::line;
use super::parse::{bytes_or_none, role, span};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a project, owned by admin.
    Create {
        /// Its name.
        name: ProjectName,
        /// Let everyone pull from it.
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
    /// List a project's members and their roles.
    Members {
        /// The project's name.
        name: ProjectName,
    },
    /// Give a user a role in a project, replacing any role held there.
    Grant {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Remove a user from a project.
    Revoke {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
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
            Self::Members { name } => members(local, &name).await?,
            Self::Grant { name, user, role } => grant(local, name, user, role).await?,
            Self::Revoke { name, user } => revoke(local, name, user).await?,
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

/// The project of this name.
pub(super) async fn find(reader: &mut Reader, name: &ProjectName) -> anyhow::Result<Project> {
    let found = project::by_name(reader, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no project {name}"))
}

/// What the command line may do to the project with a name: everything.
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
    let deleted = tenancy::project::delete(&local.db, &permit, local.now()).await;
    deleted.map_err(|error| match error {
        Error::ProjectHoldsArtifacts(name) => anyhow::anyhow!(
            "project {name} holds artifacts: delete its repositories first (gantry repository list {name})"
        ),
        other => other.into(),
    })?;
    line(&format!("project {name} is deleted"));
    Ok(())
}

async fn members(local: &Local, name: &ProjectName) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let project = find(&mut tx, name).await?.id;
    let (members, _) = member::list(&mut tx, project, &Selection::all()).await?;
    for member in members {
        line(&format!("{} {}", member.role.name(), member.name));
    }
    Ok(())
}

/// The user with a name, and their membership of the project.
async fn find_member(
    local: &Local,
    project: ProjectId,
    name: &str,
) -> anyhow::Result<(Option<PrincipalId>, Option<Member>)> {
    let mut reader = local.db.reader().await?;
    let Some(user) = user::by_name(&mut reader, name).await? else {
        return Ok((None, None));
    };
    let member = member::of_principal(&mut reader, project, user.principal_id).await?;
    Ok((Some(user.principal_id), member))
}

async fn grant(local: &Local, name: ProjectName, user: String, role: Role) -> anyhow::Result<()> {
    let permit = permit(local, &name).await?;
    let (principal, member) = find_member(local, permit.project().id, &user).await?;
    let principal = principal.ok_or_else(|| anyhow::anyhow!("there is no user {user}"))?;
    match member {
        Some(member) => {
            let permit = self::permit(local, &name).await?;
            tenancy::member::change(&local.db, &permit, member.id, role, local.now()).await?;
        }
        None => {
            tenancy::member::grant(&local.db, &permit, principal, role, local.now()).await?;
        }
    }
    line(&format!("{user} is {} of {name}", role.name()));
    Ok(())
}

async fn revoke(local: &Local, name: ProjectName, user: String) -> anyhow::Result<()> {
    let permit = permit(local, &name).await?;
    let (_, member) = find_member(local, permit.project().id, &user).await?;
    let member = member.ok_or_else(|| anyhow::anyhow!("{user} is no member of {name}"))?;
    tenancy::member::revoke(&local.db, &permit, member.id, local.now()).await?;
    line(&format!("{user} is no longer a member of {name}"));
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
