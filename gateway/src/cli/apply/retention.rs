//! Retention policies of projects in files. A document says the whole policy.

use db::retention;
use model::retention::compile;
use model::{Cron, ProjectName, RetentionId, RetentionRule, RetentionTerms};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tenancy::retention::{self as service, NewPolicy};

use super::difference::{Changes, Found, Made};
use super::rule::everything;
use super::text;
use super::world::World;
use crate::cli::retention::rules;

/// A policy.
#[derive(Debug)]
pub(super) struct Retention {
    pub(super) project: ProjectName,
    policy: NewPolicy,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a retention policy")]
struct Fields {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(deserialize_with = "text::parsed")]
    project: ProjectName,
    #[serde(default)]
    schedule: String,
    grace_secs: Option<u32>,
    rules: Vec<RuleFields>,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule of retention")]
struct RuleFields {
    keep: String,
    #[serde(default = "everything")]
    repositories: String,
    #[serde(default = "everything")]
    tags: String,
    #[serde(default)]
    tagged_only: bool,
    #[serde(default)]
    disabled: bool,
}

impl RuleFields {
    fn rule(&self) -> anyhow::Result<RetentionRule> {
        let patterns = (&*self.repositories, &*self.tags);
        let rule = rules::rule(&self.keep, patterns, !self.tagged_only)?;
        Ok(RetentionRule {
            disabled: self.disabled,
            ..rule
        })
    }
}

/// What a policy is called.
pub(super) fn title(project: &ProjectName) -> String {
    format!("retention of project {project}")
}

impl Retention {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let read = Fields::deserialize(document)?;
        let rule = |(at, fields): (usize, &RuleFields)| {
            let named = |error: anyhow::Error| anyhow::anyhow!("rules[{at}].keep: {error}");
            fields.rule().map_err(named)
        };
        let rules = read.rules.iter().enumerate().map(rule);
        let rules: Vec<RetentionRule> = rules.collect::<anyhow::Result<_>>()?;
        compile(&rules)?;
        let cron = rules::schedule(&read.schedule)
            .map_err(|error| anyhow::anyhow!("schedule: {error}"))?;
        Ok(Self {
            project: read.project,
            policy: NewPolicy {
                terms: RetentionTerms {
                    rules,
                    grace_secs: read.grace_secs,
                },
                keeps_grace: false,
                cron,
            },
        })
    }

    pub(super) fn title(&self) -> String {
        title(&self.project)
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let Some(project) = world.project(&self.project).await? else {
            return Ok(None);
        };
        let mut reader = world.local.db.reader().await?;
        let Some(before) = retention::of_project(&mut reader, project.id).await? else {
            return Ok(None);
        };
        let known: RetentionTerms = before.rules.parse()?;
        let rules: Vec<RetentionRule> = known.rules.into_iter().map(unnamed).collect();
        let new = &self.policy.terms;
        let mut changes = Changes::default();
        if rules != new.rules {
            let new = serde_json::to_string(&new.rules)?;
            changes.compare("rules", serde_json::to_string(&rules)?, Some(new));
        }
        let said = |secs: Option<u32>| secs.map_or_else(String::new, |secs| secs.to_string());
        let (old, new) = (said(known.grace_secs), said(new.grace_secs));
        changes.compare("grace_secs", old, Some(new));
        let cron = self.policy.cron.as_ref();
        let cron = cron.map(Cron::to_string).unwrap_or_default();
        changes.compare("schedule", &before.cron, Some(cron));
        let id = before.id.0;
        Ok(Some(Found { id, changes }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let (local, new) = (world.local, self.policy.clone());
        let permit = world.permit(&self.project).await?;
        let id = service::create(&local.db, &permit, new, local.now()).await?;
        Ok(Made::new(id.0, Some(permit.project().id)))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, new, id) = (world.local, self.policy.clone(), RetentionId(id));
        let permit = world.permit(&self.project).await?;
        service::change(&local.db, &permit, id, new, local.now()).await?;
        Ok(())
    }
}

/// A rule without its maker's notes, which have no effect.
fn unnamed(rule: RetentionRule) -> RetentionRule {
    RetentionRule {
        id: 0,
        priority: 0,
        ..rule
    }
}
