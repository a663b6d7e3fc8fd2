//! Members in files.

use db::member;
use model::ProjectName;
use policy::Role;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::member::Named;
use crate::cli::parse;

/// A user's or a group's role in a project.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) project: ProjectName,
    named: Named,
    role: Role,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a member")]
struct Fields {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(deserialize_with = "text::parsed")]
    project: ProjectName,
    user: Option<String>,
    group: Option<String>,
    #[serde(deserialize_with = "role")]
    role: Role,
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    text::by(deserializer, parse::role)
}

/// What a membership is called, by `user` or `group` and its name.
pub(super) fn title((kind, name): (&str, &str), project: &ProjectName) -> String {
    format!("member {kind} {name} of project {project}")
}

impl Member {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let read = Fields::deserialize(document)?;
        let named = match (read.user, read.group) {
            (Some(name), None) => Named::User(name),
            (None, Some(name)) => Named::Group(name),
            (None, None) => anyhow::bail!("user or group: write whose role it is"),
            (Some(_), Some(_)) => {
                anyhow::bail!("user and group: write one of them, and a document for the other")
            }
        };
        Ok(Self {
            project: read.project,
            named,
            role: read.role,
        })
    }

    pub(super) fn title(&self) -> String {
        let whose = match &self.named {
            Named::User(name) => ("user", &**name),
            Named::Group(name) => ("group", &**name),
        };
        title(whose, &self.project)
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let project = world.project(&self.project).await?;
        let mut reader = world.local.db.reader().await?;
        let principal = self.named.find(&mut reader).await?;
        let Some(project) = project else {
            return Ok(None);
        };
        let member = member::of_principal(&mut reader, project.id, principal).await?;
        Ok(member.map(|member| {
            let mut changes = Changes::default();
            changes.compare("role", member.role.name(), Some(self.role.name()));
            let id = member.id.0;
            Found { id, changes }
        }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let (local, role) = (world.local, self.role);
        let permit = world.permit(&self.project).await?;
        let mut reader = local.db.reader().await?;
        let principal = self.named.find(&mut reader).await?;
        drop(reader);
        let now = local.now();
        let id = tenancy::member::grant(&local.db, &permit, principal, role, now).await?;
        Ok(Made::new(id.0, Some(permit.project().id)))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, role) = (world.local, self.role);
        let (permit, id) = (world.permit(&self.project).await?, model::MemberId(id));
        tenancy::member::change(&local.db, &permit, id, role, local.now()).await?;
        Ok(())
    }
}
