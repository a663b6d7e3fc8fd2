//! Labels in files: of projects, and of the installation.

use model::{LabelId, NewLabel, ProjectName};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tenancy::label::LabelPermit;

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::label;

/// A label. What is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a label")]
pub(super) struct Label {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: String,
    #[serde(default, deserialize_with = "text::maybe_parsed")]
    pub(super) project: Option<ProjectName>,
    description: Option<String>,
    color: Option<String>,
}

/// What a label is called.
pub(super) fn title(name: &str, project: Option<&ProjectName>) -> String {
    match project {
        Some(project) => format!("label {name} of project {project}"),
        None => format!("label {name}"),
    }
}

impl Label {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let read = Self::deserialize(document)?;
        read.content("", "")?;
        Ok(read)
    }

    /// What the label says, with what it says so far.
    fn content(&self, description: &str, color: &str) -> anyhow::Result<NewLabel> {
        let description = self.description.as_deref().unwrap_or(description);
        let color = self.color.as_deref().unwrap_or(color);
        let new = NewLabel::new(&self.name, description.to_owned(), color.to_owned());
        Ok(new?)
    }

    pub(super) fn title(&self) -> String {
        title(&self.name, self.project.as_ref())
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        if let Some(project) = &self.project
            && world.project(project).await?.is_none()
        {
            return Ok(None);
        }
        let found = label::find(world.local, self.project.as_ref(), &self.name).await?;
        Ok(found.map(|label| {
            let mut changes = Changes::default();
            let description = self.description.as_deref();
            changes.compare("description", &label.description, description);
            changes.compare("color", &label.color, self.color.as_deref());
            let id = label.id.0;
            Found { id, changes }
        }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let permit = label::permit(local, self.project.as_ref()).await?;
        let new = self.content("", "")?;
        let id = tenancy::label::create(&local.db, &permit, new, local.now()).await?;
        let project = match &permit {
            LabelPermit::Installation(_) => None,
            LabelPermit::Project(permit) => Some(permit.project().id),
        };
        Ok(Made::new(id.0, project))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, project) = (world.local, self.project.as_ref());
        let permit = label::permit(local, project).await?;
        let before = label::find(local, project, &self.name).await?;
        let before = before.filter(|before| before.id == LabelId(id));
        let before = before.ok_or(tenancy::Error::LabelUnknown(LabelId(id)))?;
        let new = self.content(&before.description, &before.color)?;
        tenancy::label::change(&local.db, &permit, before.id, new, local.now()).await?;
        Ok(())
    }
}
