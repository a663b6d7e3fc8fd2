//! `gantry project`.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::{Selection, Test};
use db::project::Project;
use db::{Reader, account, audit, member, project, quota, untagged};
use model::{AccountId, ProjectId, ProjectName};
use policy::{Action, Caller, ProjectPermit, Resource, Role, permit};

use super::local::Local;
use super::out::line;
use super::parse::{bytes_or_none, role, span};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a project, owned by admin.
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
    /// Give a user a role in a project, in place of the one held.
    Grant {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Take a user out of a project.
    Revoke {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
    },
    /// Say what a project holds and may hold, or change what it may hold.
    Quota {
        /// The project's name.
        name: ProjectName,
        /// What it may hold: bytes, or a number with KiB, MiB, GiB or TiB; `none` for no limit. It may be less than the
        /// project holds, which then takes nothing more.
        #[arg(long, value_parser = bytes_or_none)]
        limit: Option<i64>,
    },
    /// Say how long a manifest without a tag stays in a project, or change it. One that an index lists, or whose
    /// subject is there, stays with that.
    Untagged {
        /// The project's name.
        name: ProjectName,
        /// Delete it after a time without a tag: a number and s, m, h or d.
        #[arg(long, value_parser = span, conflicts_with = "keep")]
        delete_after: Option<i64>,
        /// Keep it for ever.
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

/// The project with a name.
pub(super) async fn find(reader: &mut Reader, name: &ProjectName) -> anyhow::Result<Project> {
    let found = project::by_name(reader, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no project {name}"))
}

/// What the command line may do to the project with a name: everything.
pub(super) async fn permit(
    local: &Local,
    name: &ProjectName,
    resource: Resource,
    action: Action,
) -> anyhow::Result<ProjectPermit> {
    let facts = find(&mut local.db.reader().await?, name).await?.facts();
    let caller = Caller::command_line();
    Ok(permit::permit_project(
        &caller,
        Some(&facts),
        resource,
        action,
    )?)
}

async fn id_of(local: &Local, name: &ProjectName) -> anyhow::Result<ProjectId> {
    Ok(find(&mut local.db.reader().await?, name).await?.id)
}

async fn create(local: &Local, name: ProjectName, public: bool) -> anyhow::Result<()> {
    let now = local.now();
    let mut entry = local.entry("create", "project", name.as_str(), None);
    entry.detail = format!("public={public}");
    let new = name.clone();
    let made = local.change(entry, move |tx, entry| {
        Box::pin(async move {
            let made = project::create(tx, &new, AccountId::ADMIN, public, -1, now).await;
            let id = made.map_err(|error| match error {
                db::Error::Duplicate(_) => anyhow::anyhow!("project {new} already exists"),
                error => error.into(),
            })?;
            entry.project = Some(id);
            Ok(id)
        })
    });
    line(&format!("project {name} has id {}", made.await?));
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
    let project = id_of(local, &name).await?;
    let (now, entry) = (
        local.now(),
        local.entry("delete", "project", name.as_str(), Some(project)),
    );
    let going = name.clone();
    local
        .db
        .write_alone_in(project, move |tx| {
            Box::pin(async move {
                let project = find(tx, &going).await?;
                anyhow::ensure!(
                    project::delete(tx, &project.facts(), now).await?,
                    "project {going} holds artifacts: delete its repositories first (gantry repository list {going})"
                );
                Ok(audit::append(tx, &entry).await?)
            })
        })
        .await?;
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

async fn grant(local: &Local, name: ProjectName, user: String, role: Role) -> anyhow::Result<()> {
    let project = id_of(local, &name).await?;
    let mut entry = local.entry("create", "member", &user, Some(project));
    role.name().clone_into(&mut entry.detail);
    let (now, granted) = (local.now(), user.clone());
    local
        .change_in(project, entry, move |tx, entry| {
            Box::pin(async move {
                let account = account::by_name(tx, &granted).await?;
                let account =
                    account.ok_or_else(|| anyhow::anyhow!("there is no user {granted}"))?;
                match member::of_account(tx, project, account.id).await? {
                    Some(member) => {
                        entry.operation = "update";
                        member::set_role(tx, &member, role).await?;
                    }
                    None => {
                        member::add(tx, project, account.id, role, now).await?;
                    }
                }
                Ok(())
            })
        })
        .await?;
    line(&format!("{user} is {} of {name}", role.name()));
    Ok(())
}

async fn revoke(local: &Local, name: ProjectName, user: String) -> anyhow::Result<()> {
    let project = id_of(local, &name).await?;
    let entry = local.entry("delete", "member", &user, Some(project));
    let (shown, revoked) = (name.clone(), user.clone());
    local
        .change_in(project, entry, move |tx, entry| {
            Box::pin(async move {
                let (members, _) = member::list(
                    tx,
                    project,
                    &Selection::all().with(member::NAME, Test::Is(revoked.clone())),
                )
                .await?;
                let member = members.first();
                let member =
                    member.ok_or_else(|| anyhow::anyhow!("{revoked} is no member of {shown}"))?;
                member.role.name().clone_into(&mut entry.detail);
                Ok(member::remove(tx, member).await?)
            })
        })
        .await?;
    line(&format!("{user} is no longer a member of {name}"));
    Ok(())
}

async fn set_quota(local: &Local, name: ProjectName, limit: Option<i64>) -> anyhow::Result<()> {
    if let Some(limit) = limit {
        let project = id_of(local, &name).await?;
        let mut entry = local.entry("update", "project", name.as_str(), Some(project));
        entry.detail = format!("storage limit {limit}");
        local
            .change_in(project, entry, move |tx, _| {
                Box::pin(async move { Ok(quota::set_limit(tx, project, limit).await?) })
            })
            .await?;
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
        let project = id_of(local, &name).await?;
        let mut entry = local.entry("update", "project", name.as_str(), Some(project));
        entry.detail = match delete_after {
            Some(secs) => format!("untagged manifests are deleted after {secs} s"),
            None => "untagged manifests are kept".to_owned(),
        };
        local
            .change_in(project, entry, move |tx, _| {
                Box::pin(async move { Ok(untagged::set_policy(tx, project, delete_after).await?) })
            })
            .await?;
    }
    let mut tx = local.db.reader().await?;
    let project = find(&mut tx, &name).await?.id;
    line(&match untagged::policy(&mut tx, project).await? {
        Some(secs) => format!("{name}: a manifest without a tag is deleted after {secs} s"),
        None => format!("{name}: manifests without a tag are kept"),
    });
    Ok(())
}
