//! Rules for immutable tags in files. A rule is known by what it says: only whether it is enabled can change.

use db::immutable_rule;
use db::list::Selection;
use model::{ImmutableRule, ImmutableRuleId, ProjectName};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tenancy::immutable_rule as service;

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule for immutable tags")]
pub(super) struct Rule {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(deserialize_with = "text::parsed")]
    pub(super) project: ProjectName,
    #[serde(default = "everything")]
    repositories: String,
    #[serde(default = "everything")]
    tags: String,
    enabled: Option<bool>,
}

/// The pattern that matches everything.
pub(super) fn everything() -> String {
    "**".to_owned()
}

impl Rule {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let read = Self::deserialize(document)?;
        let compiled = read.content().compile();
        compiled.map_err(|error| {
            anyhow::anyhow!("repositories and tags: the patterns cannot be used: {error}")
        })?;
        Ok(read)
    }

    fn content(&self) -> ImmutableRule {
        ImmutableRule::of_patterns(&self.repositories, &self.tags)
    }

    pub(super) fn title(&self) -> String {
        let Self {
            project,
            repositories,
            tags,
            ..
        } = self;
        format!("immutable-rule repositories {repositories} tags {tags} of project {project}")
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let Some(project) = world.project(&self.project).await? else {
            return Ok(None);
        };
        let mut reader = world.local.db.reader().await?;
        let all = Selection::all();
        let (rules, _) = immutable_rule::list(&mut reader, project.id, &all).await?;
        let content = self.content();
        for rule in rules {
            let known: ImmutableRule = serde_json::from_str(&rule.selectors)?;
            if known == content {
                let mut changes = Changes::default();
                changes.compare("enabled", rule.enabled, self.enabled);
                let id = rule.id.0;
                return Ok(Some(Found { id, changes }));
            }
        }
        Ok(None)
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let permit = world.permit(&self.project).await?;
        let id = service::create(&local.db, &permit, self.content(), local.now()).await?;
        let project = Some(permit.project().id);
        if self.enabled == Some(false) {
            self.change(world, id.0).await?;
        }
        Ok(Made { id: id.0, project })
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, id) = (world.local, ImmutableRuleId(id));
        let enabled = self.enabled.unwrap_or(true);
        let permit = world.permit(&self.project).await?;
        service::enable(&local.db, &permit, id, enabled, local.now()).await?;
        Ok(())
    }
}
