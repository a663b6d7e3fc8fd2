//! `gantry project`.

use std::process::ExitCode;

use clap::Subcommand;
use db::page::Page;
use db::{account, audit, member, project, untagged};
use model::{AccountId, ProjectName};
use policy::{ProjectFacts, Role};

use super::local::Local;
use super::print;

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
    /// Give a user a role in a project, in place of the one held.
    Grant {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        role: String,
    },
    /// Say how long a manifest without a tag stays in a project, or change it. One that an index lists, or whose
    /// subject is there, stays with that.
    Untagged {
        /// The project's name.
        name: ProjectName,
        /// Delete it after a time without a tag: a number and s, m, h or d.
        #[arg(long, value_parser = seconds, conflicts_with = "keep")]
        delete_after: Option<i64>,
        /// Keep it for ever.
        #[arg(long)]
        keep: bool,
    },
    /// Take a user out of a project.
    Revoke {
        /// The project's name.
        name: ProjectName,
        /// The user's name.
        user: String,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create { name, public } => create(local, name, public).await?,
            Self::List => list(local).await?,
            Self::Delete { name } => delete(local, name).await?,
            Self::Grant { name, user, role } => grant(local, name, user, &role).await?,
            Self::Untagged {
                name,
                delete_after,
                keep,
            } => untagged(local, name, delete_after, keep).await?,
            Self::Revoke { name, user } => revoke(local, name, user).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(local: &Local, name: ProjectName, public: bool) -> anyhow::Result<()> {
    let now = local.now();
    let mut entry = local.entry("create", "project", name.as_str(), None);
    let shown = name.clone();
    let made = local.db.write(move |tx| {
        Box::pin(async move {
            let id = project::create(tx, &name, AccountId::ADMIN, public, -1, now).await?;
            entry.project = Some(id);
            audit::append(tx, &entry).await?;
            Ok::<_, db::Error>(id)
        })
    });
    let id = made.await.map_err(|error| match error {
        db::Error::Duplicate(_) => anyhow::anyhow!("project {shown} already exists"),
        error => error.into(),
    })?;
    print(&format!("project {shown} has id {id}"));
    Ok(())
}

async fn list(local: &Local) -> anyhow::Result<()> {
    let mut tx = local.db.reader().await?;
    let (projects, _) = project::list(
        &mut tx,
        &project::Filter::default(),
        project::Order::Name,
        Page::ALL,
    )
    .await?;
    for project in projects {
        let public = if project.public { "public" } else { "private" };
        print(&format!(
            "{:>6} {} {public} {} repositories",
            project.id, project.name, project.repositories
        ));
    }
    Ok(())
}

async fn find(local: &Local, name: &ProjectName) -> anyhow::Result<ProjectFacts> {
    let mut tx = local.db.reader().await?;
    let found = project::by_name(&mut tx, name).await?;
    found
        .map(|project| project.facts())
        .ok_or_else(|| anyhow::anyhow!("there is no project {name}"))
}

/// A span of time as people write it, in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let unit = text.chars().last().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    });
    let number = || text[..text.len() - 1].parse::<u32>().ok();
    let span = unit.and_then(|unit| Some(i64::from(number()?) * unit));
    span.ok_or_else(|| "write a number and s, m, h or d, such as 30d".to_owned())
}

async fn untagged(
    local: &Local,
    name: ProjectName,
    delete_after: Option<i64>,
    keep: bool,
) -> anyhow::Result<()> {
    let id = find(local, &name).await?.id;
    if delete_after.is_some() || keep {
        let mut entry = local.entry("update", "project", name.as_str(), Some(id));
        entry.detail = match delete_after {
            Some(secs) => format!("untagged manifests are deleted after {secs} s"),
            None => "untagged manifests are kept".to_owned(),
        };
        let changed = local.db.write(move |tx| {
            Box::pin(async move {
                untagged::set_policy(tx, id, delete_after).await?;
                audit::append(tx, &entry).await
            })
        });
        changed.await?;
    }
    let mut tx = local.db.reader().await?;
    match untagged::policy(&mut tx, id).await? {
        Some(secs) => print(&format!(
            "{name}: a manifest without a tag is deleted after {secs} s"
        )),
        None => print(&format!("{name}: manifests without a tag are kept")),
    }
    Ok(())
}

async fn delete(local: &Local, name: ProjectName) -> anyhow::Result<()> {
    let facts = find(local, &name).await?;
    let (now, entry) = (
        local.now(),
        local.entry("delete", "project", name.as_str(), Some(facts.id)),
    );
    let deleted = local.db.write(move |tx| {
        Box::pin(async move {
            let deleted = project::delete(tx, &facts, now).await?;
            if deleted {
                audit::append(tx, &entry).await?;
            }
            Ok::<_, db::Error>(deleted)
        })
    });
    anyhow::ensure!(
        deleted.await?,
        "project {name} has repositories: delete them first"
    );
    print(&format!("project {name} is deleted"));
    Ok(())
}

async fn grant(local: &Local, name: ProjectName, user: String, role: &str) -> anyhow::Result<()> {
    let role = Role::from_name(role).ok_or_else(|| {
        let names = Role::ALL.map(Role::name).join(", ");
        anyhow::anyhow!("there is no role {role}: use one of {names}")
    })?;
    let facts = find(local, &name).await?;
    let (now, entry) = (
        local.now(),
        local.entry("create", "member", &user, Some(facts.id)),
    );
    let shown = user.clone();
    let granted = local.db.write(move |tx| {
        Box::pin(async move {
            let Some(account) = account::by_name(tx, &user).await? else {
                return Ok(false);
            };
            let (members, _) = member::list(tx, facts.id, Some(&user), Page::ALL).await?;
            match members.first() {
                Some(member) => member::set_role(tx, member, role).await?,
                None => {
                    member::add(tx, facts.id, account.id, role, now).await?;
                }
            }
            audit::append(tx, &entry).await?;
            Ok::<_, db::Error>(true)
        })
    });
    anyhow::ensure!(granted.await?, "there is no user {shown}");
    print(&format!("{shown} is {} of {name}", role.name()));
    Ok(())
}

async fn revoke(local: &Local, name: ProjectName, user: String) -> anyhow::Result<()> {
    let facts = find(local, &name).await?;
    let entry = local.entry("delete", "member", &user, Some(facts.id));
    let shown = user.clone();
    let revoked = local.db.write(move |tx| {
        Box::pin(async move {
            let (members, _) = member::list(tx, facts.id, Some(&user), Page::ALL).await?;
            let Some(member) = members.first() else {
                return Ok(false);
            };
            member::remove(tx, member).await?;
            audit::append(tx, &entry).await?;
            Ok::<_, db::Error>(true)
        })
    });
    anyhow::ensure!(revoked.await?, "{shown} is no member of {name}");
    print(&format!("{shown} is no longer a member of {name}"));
    Ok(())
}
