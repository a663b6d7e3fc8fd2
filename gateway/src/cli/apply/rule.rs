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

/// What a rule is called, by its patterns.
fn title((repositories, tags): (&str, &str), project: &ProjectName) -> String {
    format!("immutable-rule repositories {repositories} tags {tags} of project {project}")
}

/// What a stored rule is called. One that files cannot say is called by its JSON.
pub(super) fn title_of(selectors: &str, project: &ProjectName) -> serde_json::Result<String> {
    let rule: ImmutableRule = serde_json::from_str(selectors)?;
    let repositories = rule.scope_selectors.values().flatten().next();
    let tags = rule.tag_selectors.iter().flatten().next();
    if let (Some(repositories), Some(tags)) = (repositories, tags) {
        let patterns = (&*repositories.pattern, &*tags.pattern);
        if rule == ImmutableRule::of_patterns(patterns.0, patterns.1) {
            return Ok(title(patterns, project));
        }
    }
    Ok(format!("immutable-rule {selectors} of project {project}"))
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
        title((&*self.repositories, &*self.tags), &self.project)
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
        let (db, content, now) = (&local.db, self.content(), local.now());
        let id = match self.enabled {
            Some(false) => service::create_disabled(db, &permit, content, now).await?,
            Some(true) | None => service::create(db, &permit, content, now).await?,
        };
        Ok(Made::new(id.0, Some(permit.project().id)))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, id) = (world.local, ImmutableRuleId(id));
        let enabled = self.enabled.unwrap_or(true);
        let permit = world.permit(&self.project).await?;
        service::enable(&local.db, &permit, id, enabled, local.now()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_rule_has_the_title_of_its_document_until_somebody_rewrites_it() {
        let project: ProjectName = "team".parse().unwrap();
        let title = |rule: &ImmutableRule| {
            let stored = serde_json::to_string(rule).unwrap();
            title_of(&stored, &project).unwrap()
        };
        let mut rule = ImmutableRule::of_patterns("**", "v*");
        let made = "immutable-rule repositories ** tags v* of project team";
        assert_eq!(title(&rule), made);
        for selector in rule.tag_selectors.iter_mut().flatten() {
            selector.decoration = "excludes".to_owned();
        }
        assert_ne!(title(&rule), made);
        assert_ne!(title(&ImmutableRule::of_patterns("**", "w*")), made);
    }
}
