//! Policies of replication in files. A document says the whole policy.

use db::replication::policy as policies;
use model::replication::{Direction, Mapping, PolicyContent, TriggerKind};
use model::{Cron, RegistryId, ReplicationPolicyId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use tenancy::replication_policy as service;

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::replication::filters;
use crate::cli::{local, registry};

/// A policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a policy of replication")]
pub(super) struct Replication {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: String,
    to: Option<String>,
    from: Option<String>,
    #[serde(default)]
    description: String,
    names: Option<String>,
    not_names: Option<String>,
    tags: Option<String>,
    not_tags: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    replace: i64,
    #[serde(default, deserialize_with = "cron")]
    cron: Option<Cron>,
    #[serde(default)]
    on_push: bool,
    #[serde(default)]
    overrides: bool,
    #[serde(default)]
    deletion: bool,
    #[serde(default)]
    speed: u32,
    #[serde(default)]
    by_chunk: bool,
    #[serde(default)]
    single_active: bool,
    #[serde(default)]
    disabled: bool,
}

fn cron<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cron>, D::Error> {
    let read = |text: &str| PolicyContent::cron(text).map_err(|error| error.to_string());
    text::by(deserializer, read).map(Some)
}

/// What a policy is called.
pub(super) fn title(name: &str) -> String {
    format!("replication {name}")
}

impl Replication {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let read = Self::deserialize(document)?;
        if read.to.is_some() == read.from.is_some() {
            anyhow::bail!("to and from: write the name of a registry at one of them");
        }
        if read.cron.is_some() && read.on_push {
            anyhow::bail!("cron and on_push: write one of them");
        }
        read.content(RegistryId(0))?;
        Ok(read)
    }

    pub(super) fn title(&self) -> String {
        title(&self.name)
    }

    /// The other registry's name.
    pub(super) fn registry(&self) -> &str {
        self.other().0
    }

    /// The other registry, and which way artifacts go.
    fn other(&self) -> (&str, Direction) {
        match (&self.to, &self.from) {
            (Some(to), _) => (to.as_str(), Direction::Push),
            (None, from) => (from.as_deref().unwrap_or_default(), Direction::Pull),
        }
    }

    fn content(&self, registry: RegistryId) -> anyhow::Result<PolicyContent> {
        let trigger = match (&self.cron, self.on_push) {
            (Some(_), _) => TriggerKind::Scheduled,
            (None, true) => TriggerKind::EventBased,
            (None, false) => TriggerKind::Manual,
        };
        let content = PolicyContent {
            name: self.name.clone(),
            description: self.description.clone(),
            direction: self.other().1,
            registry,
            mapping: Mapping {
                namespace: self.namespace.clone(),
                replace_count: self.replace,
            },
            filters: filters(
                [&self.names, &self.not_names],
                [&self.tags, &self.not_tags],
                &self.labels,
            ),
            trigger,
            cron: self.cron.clone(),
            deletion: self.deletion,
            overrides: self.overrides,
            enabled: !self.disabled,
            speed: i64::from(self.speed),
            copy_by_chunk: self.by_chunk,
            single_active: self.single_active,
        };
        Ok(content.checked()?)
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let (name, _) = self.other();
        let other = world.registry(name).await?;
        let mut reader = world.local.db.reader().await?;
        let Some(policy) = policies::by_name(&mut reader, &self.name).await? else {
            return Ok(None);
        };
        let known = db::registry::get(&mut reader, policy.registry).await?;
        let known = known.map(|known| known.name).unwrap_or_default();
        let mut changes = Changes::default();
        changes.compare("registry", known, Some(name));
        let before = policy.content()?;
        // Of a registry that is still to be made only the name is known.
        let registry = other.map_or(before.registry, |other| other.id);
        compare(&mut changes, &before, &self.content(registry)?)?;
        let id = policy.id.0;
        Ok(Some(Found { id, changes }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let other = registry::find(local, self.other().0).await?;
        let (content, permit) = (self.content(other.id)?, local::system()?);
        let id = service::create(&local.db, &permit, content, local.now()).await?;
        Ok(Made::new(id.0, None))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, id) = (world.local, ReplicationPolicyId(id));
        let other = registry::find(local, self.other().0).await?;
        let (content, permit) = (self.content(other.id)?, local::system()?);
        service::change(&local.db, &permit, id, content, local.now()).await?;
        Ok(())
    }
}

/// Everything but the names of policy and registry.
fn compare(
    changes: &mut Changes,
    old: &PolicyContent,
    new: &PolicyContent,
) -> serde_json::Result<()> {
    let way = |content: &PolicyContent| match content.direction {
        Direction::Push => "to",
        Direction::Pull => "from",
    };
    let cron = |content: &PolicyContent| {
        let cron = content.cron.as_ref();
        cron.map(Cron::to_string).unwrap_or_default()
    };
    let trigger = |content: &PolicyContent| content.trigger.name();
    changes.compare("direction", way(old), Some(way(new)));
    changes.compare("description", &old.description, Some(&new.description));
    changes.compare(
        "namespace",
        &old.mapping.namespace,
        Some(&new.mapping.namespace),
    );
    changes.compare(
        "replace",
        old.mapping.replace_count,
        Some(new.mapping.replace_count),
    );
    if old.filters != new.filters {
        let filters = serde_json::to_string(&new.filters)?;
        changes.compare(
            "filters",
            serde_json::to_string(&old.filters)?,
            Some(filters),
        );
    }
    changes.compare("trigger", trigger(old), Some(trigger(new)));
    changes.compare("cron", cron(old), Some(cron(new)));
    changes.compare("deletion", old.deletion, Some(new.deletion));
    changes.compare("overrides", old.overrides, Some(new.overrides));
    changes.compare("disabled", !old.enabled, Some(!new.enabled));
    changes.compare("speed", old.speed, Some(new.speed));
    changes.compare("by_chunk", old.copy_by_chunk, Some(new.copy_by_chunk));
    changes.compare("single_active", old.single_active, Some(new.single_active));
    Ok(())
}
