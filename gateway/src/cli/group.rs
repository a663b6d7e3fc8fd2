//! `gantry group`: groups of users, whose members come from directories.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use db::group::{self, Group};
use db::list::Selection;
use model::{Dn, GroupName, GroupSource};
use serde::Serialize;
use tenancy::group::NewGroup;

use super::local::{self, Local};
use super::out::{json_lines, line};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a group.
    Create {
        /// Its name.
        name: GroupName,
        /// Its source.
        #[arg(long)]
        source: Source,
        /// Its DN in the directory, for LDAP.
        #[arg(long, required_if_eq("source", "ldap"))]
        ldap_dn: Option<Dn>,
    },
    /// List all groups.
    List {
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Rename a group.
    Rename {
        /// The group's name.
        name: GroupName,
        /// The new name.
        to: GroupName,
    },
    /// Delete a group: its members lose the roles that it gave them.
    Delete {
        /// The group's name.
        name: GroupName,
    },
}

/// The source of a group.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Source {
    /// An LDAP directory.
    Ldap,
    /// An authenticating proxy.
    Http,
    /// An OIDC provider.
    Oidc,
}

impl From<Source> for GroupSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Ldap => Self::Ldap,
            Source::Http => Self::Http,
            Source::Oidc => Self::Oidc,
        }
    }
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                name,
                source,
                ldap_dn,
            } => {
                let new = NewGroup {
                    name,
                    source: source.into(),
                    entry: ldap_dn,
                };
                create(local, new).await?;
            }
            Self::List { json } => list(local, json).await?,
            Self::Rename { name, to } => rename(local, &name, to).await?,
            Self::Delete { name } => delete(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn create(local: &Local, new: NewGroup) -> anyhow::Result<()> {
    anyhow::ensure!(
        new.source == GroupSource::Ldap || new.entry.is_none(),
        "--ldap-dn is for --source ldap alone"
    );
    let (name, permit) = (new.name.clone(), local::system()?);
    let id = tenancy::group::create(&local.db, &permit, new, local.now()).await?;
    line(&format!("group {name} has id {id}"));
    Ok(())
}

/// A group as it is listed.
#[derive(Serialize)]
struct Shown {
    id: i64,
    name: String,
    source: &'static str,
    ldap_dn: String,
}

impl From<Group> for Shown {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.0,
            name: group.name,
            source: match group.source {
                GroupSource::Ldap => "ldap",
                GroupSource::Http => "http",
                GroupSource::Oidc => "oidc",
            },
            ldap_dn: group.ldap_dn,
        }
    }
}

async fn list(local: &Local, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let (groups, _) = group::list(&mut reader, &Selection::all()).await?;
    let groups: Vec<Shown> = groups.into_iter().map(Shown::from).collect();
    if json {
        return Ok(json_lines(&groups)?);
    }
    for group in groups {
        let line_of = format!(
            "{:>6} {} {} {}",
            group.id, group.source, group.name, group.ldap_dn
        );
        line(line_of.trim_end());
    }
    Ok(())
}

async fn find(local: &Local, name: &GroupName) -> anyhow::Result<Group> {
    let found = group::by_name(&mut local.db.reader().await?, name.as_str()).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no group {name}"))
}

async fn rename(local: &Local, name: &GroupName, to: GroupName) -> anyhow::Result<()> {
    let (group, permit) = (find(local, name).await?, local::system()?);
    let said = format!("group {name} is called {to} now");
    tenancy::group::rename(&local.db, &permit, (group.id, to), local.now()).await?;
    line(&said);
    Ok(())
}

async fn delete(local: &Local, name: &GroupName) -> anyhow::Result<()> {
    let (group, permit) = (find(local, name).await?, local::system()?);
    tenancy::group::delete(&local.db, &permit, group.id, local.now()).await?;
    line(&format!("group {name} is deleted"));
    Ok(())
}
