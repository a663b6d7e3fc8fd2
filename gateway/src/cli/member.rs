//! `gantry member`: members of projects and their roles.

use std::process::ExitCode;

use clap::Subcommand;
use db::list::Selection;
use db::member::{self, Entity, Member};
use db::{Reader, group, user};
use model::{ExpectedMemberId, PrincipalId, ProjectName};
use policy::Role;
use serde::Serialize;

use tenancy::oidc::link;

use super::local::Local;
use super::oidc::provider;
use super::out::{json_lines, line};
use super::parse::role;
use super::project::{find, permit};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a project's members and their roles.
    List {
        /// The project's name.
        project: ProjectName,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Give a user or a group a role in a project, replacing any role held there.
    Grant {
        /// The project's name.
        project: ProjectName,
        /// The name of the user, or of the group.
        name: String,
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        #[arg(value_parser = role)]
        role: Role,
        /// The name is a group's.
        #[arg(long)]
        group: bool,
    },
    /// List the roles of a project that wait for people of the OIDC provider who were never here.
    Expected {
        /// The project's name.
        project: ProjectName,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Let a role wait for somebody of the OIDC provider who was never here: whoever first signs in with the claim gets
    /// it.
    Expect {
        /// The project's name.
        project: ProjectName,
        /// The claim and its value, such as email=ann@example.test. A mail address counts only if the provider verified
        /// it.
        #[arg(value_parser = pair)]
        claim: (String, String),
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Let a role wait for somebody no more.
    Unexpect {
        /// The project's name.
        project: ProjectName,
        /// Its ID, as `expected` shows it.
        id: i64,
    },
    /// Remove a user or a group from a project.
    Revoke {
        /// The project's name.
        project: ProjectName,
        /// The name of the user, or of the group.
        name: String,
        /// The name is a group's.
        #[arg(long)]
        group: bool,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { project, json } => list(local, &project, json).await?,
            Self::Expected { project, json } => expected(local, &project, json).await?,
            Self::Expect {
                project,
                claim,
                role,
            } => expect(local, &project, &claim, role).await?,
            Self::Unexpect { project, id } => {
                unexpect(local, &project, ExpectedMemberId(id)).await?;
            }
            Self::Grant {
                project,
                name,
                role,
                group,
            } => grant(local, &project, &Named::new(name, group), role).await?,
            Self::Revoke {
                project,
                name,
                group,
            } => revoke(local, &project, &Named::new(name, group)).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whose membership it is.
#[derive(Debug)]
pub(super) enum Named {
    User(String),
    Group(String),
}

impl Named {
    fn new(name: String, is_group: bool) -> Self {
        if is_group {
            Self::Group(name)
        } else {
            Self::User(name)
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Group(name) => name,
        }
    }

    /// Its principal ID.
    pub(super) async fn find(&self, reader: &mut Reader) -> anyhow::Result<PrincipalId> {
        match self {
            Self::User(name) => user::by_name(reader, name)
                .await?
                .map(|user| user.principal_id)
                .ok_or_else(|| anyhow::anyhow!("there is no user {name}")),
            Self::Group(name) => group::by_name(reader, name)
                .await?
                .map(|group| group.principal_id)
                .ok_or_else(|| anyhow::anyhow!("there is no group {name}")),
        }
    }
}

/// A member as it is listed.
#[derive(Serialize)]
struct Shown {
    name: String,
    kind: &'static str,
    role: &'static str,
}

impl Shown {
    fn new(member: Member) -> anyhow::Result<Self> {
        let kind = match member.entity()? {
            Entity::User(_) => "user",
            Entity::Group(_) => "group",
        };
        Ok(Self {
            kind,
            role: member.role.name(),
            name: member.name,
        })
    }
}

async fn list(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = find(&mut reader, project).await?.id;
    let (members, _) = member::list(&mut reader, project, &Selection::all()).await?;
    let members: Vec<Shown> = members
        .into_iter()
        .map(Shown::new)
        .collect::<anyhow::Result<_>>()?;
    if json {
        return Ok(json_lines(&members)?);
    }
    for member in members {
        line(&format!("{} {} {}", member.role, member.kind, member.name));
    }
    Ok(())
}

async fn grant(
    local: &Local,
    project: &ProjectName,
    named: &Named,
    role: Role,
) -> anyhow::Result<()> {
    let create = permit(local, project).await?;
    let mut reader = local.db.reader().await?;
    let principal = named.find(&mut reader).await?;
    let member = member::of_principal(&mut reader, create.project().id, principal).await?;
    drop(reader);
    match member {
        Some(member) => {
            let update = permit(local, project).await?;
            tenancy::member::change(&local.db, &update, member.id, role, local.now()).await?;
        }
        None => {
            tenancy::member::grant(&local.db, &create, principal, role, local.now()).await?;
        }
    }
    line(&format!("{} is {} of {project}", named.name(), role.name()));
    Ok(())
}

async fn revoke(local: &Local, project: &ProjectName, named: &Named) -> anyhow::Result<()> {
    let permit = permit(local, project).await?;
    let mut reader = local.db.reader().await?;
    let principal = named.find(&mut reader).await?;
    let member = member::of_principal(&mut reader, permit.project().id, principal).await?;
    drop(reader);
    let name = named.name();
    let member = member.ok_or_else(|| anyhow::anyhow!("{name} is no member of {project}"))?;
    tenancy::member::revoke(&local.db, &permit, member.id, local.now()).await?;
    line(&format!("{name} is no longer a member of {project}"));
    Ok(())
}

/// A claim and its value.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (claim, value) = pair.ok_or("must be CLAIM=VALUE, such as email=ann@example.test")?;
    Ok((claim.to_owned(), value.to_owned()))
}

/// A role that waits, as it is listed.
#[derive(Serialize)]
struct Waiting {
    id: i64,
    claim: String,
    value: String,
    issuer: String,
    role: &'static str,
}

async fn expected(local: &Local, project: &ProjectName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let project = find(&mut reader, project).await?.id;
    let (found, _) = db::expected::members(&mut reader, project, &Selection::all()).await?;
    let waiting = found.into_iter().map(|member| Waiting {
        id: member.id.0,
        claim: member.claim,
        value: member.value,
        issuer: member.issuer,
        role: member.role.name(),
    });
    let waiting: Vec<Waiting> = waiting.collect();
    if json {
        return Ok(json_lines(&waiting)?);
    }
    for Waiting {
        id,
        claim,
        value,
        issuer,
        role,
    } in waiting
    {
        line(&format!("{id:>6} {claim}={value} of {issuer}: {role}"));
    }
    Ok(())
}

async fn expect(
    local: &Local,
    project: &ProjectName,
    (claim, value): &(String, String),
    role: Role,
) -> anyhow::Result<()> {
    let permit = permit(local, project).await?;
    let issuer = provider(local).await?.issuer().await?;
    let expected = link::expected(&issuer, claim, value)?;
    let id = link::expect_member(&local.db, &permit, (expected, role), local.now()).await?;
    line(&format!(
        "{project} expects {claim}={value} as {}, id {id}",
        role.name()
    ));
    Ok(())
}

async fn unexpect(
    local: &Local,
    project: &ProjectName,
    id: ExpectedMemberId,
) -> anyhow::Result<()> {
    let permit = permit(local, project).await?;
    link::forget_member(&local.db, &permit, id, local.now()).await?;
    line(&format!("{project} expects {id} no more"));
    Ok(())
}
