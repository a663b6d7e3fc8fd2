//! Projects in files.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context as _;
use model::{ProjectName, ProjectSetting, StorageLimit};
use policy::{Caller, ProjectCreation, permit};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tenancy::project::{Changes as Update, NewProject};

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::local;
use crate::cli::parse::bytes_or_none;

/// A project. What is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a project")]
pub(super) struct Project {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(deserialize_with = "text::parsed")]
    pub(super) name: ProjectName,
    public: Option<bool>,
    #[serde(default, deserialize_with = "quota")]
    quota: Option<StorageLimit>,
    #[serde(default, deserialize_with = "metadata")]
    metadata: BTreeMap<String, String>,
    #[serde(skip)]
    settings: Vec<ProjectSetting>,
}

fn quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StorageLimit>, D::Error> {
    text::by(deserializer, bytes_or_none).map(Some)
}

fn metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_map(Metadata)
}

/// Reads settings, of which each is there once.
struct Metadata;

impl<'de> Visitor<'de> for Metadata {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names and values of settings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut read = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if read.insert(name.clone(), value).is_some() {
                return Err(M::Error::custom(format!("{name} is there twice")));
            }
        }
        Ok(read)
    }
}

/// What a project is called.
pub(super) fn title(name: &ProjectName) -> String {
    format!("project {name}")
}

const SETTINGS: &str = "write true or false for auto_sbom_generation, auto_scan, enable_content_trust, \
     enable_content_trust_cosign, prevent_vul or reuse_sys_cve_allowlist; none, low, medium, high or critical for severity";

impl Project {
    pub(super) fn read(document: serde_norway::Deserializer<'_>) -> anyhow::Result<Self> {
        let mut read = Self::deserialize(document)?;
        for (name, value) in &read.metadata {
            let setting = ProjectSetting::parse(name, value);
            let setting = setting.with_context(|| format!("metadata.{name}: {SETTINGS}"))?;
            read.settings.push(setting);
        }
        Ok(read)
    }

    pub(super) fn title(&self) -> String {
        title(&self.name)
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let mut reader = world.local.db.reader().await?;
        let Some(project) = db::project::by_name(&mut reader, &self.name).await? else {
            return Ok(None);
        };
        let metadata = db::project::metadata(&mut reader, project.id).await?;
        let mut changes = Changes::default();
        changes.compare("public", project.public, self.public);
        let limit = self.quota.map(|limit| bytes(limit.bytes()));
        changes.compare("quota", bytes(project.storage_limit), limit);
        for setting in &self.settings {
            let field = format!("metadata.{}", setting.name());
            let old = metadata.get(setting.name()).map_or("", String::as_str);
            changes.compare(&field, old, Some(setting.value()));
        }
        let id = project.id.0;
        Ok(Some(Found { id, changes }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let permit =
            permit::permit_create_project(&Caller::command_line(), ProjectCreation::Admins)?;
        let limit = match self.quota {
            Some(limit) => limit,
            None => local.settings().await?.current().new_project_limit(),
        };
        let new = NewProject {
            name: self.name.clone(),
            public: self.public.unwrap_or_default(),
            limit,
            settings: self.settings.clone(),
        };
        let id = tenancy::project::create(&local.db, &permit, new, local.now()).await?;
        Ok(Made::new(id.0, None))
    }

    pub(super) async fn change(&self, world: &World<'_>) -> anyhow::Result<()> {
        let local = world.local;
        let permit = world.permit(&self.name).await?;
        let mut reader = local.db.reader().await?;
        let before = crate::cli::project::find(&mut reader, &self.name).await?;
        let metadata = db::project::metadata(&mut reader, before.id).await?;
        drop(reader);
        let is_new = |setting: &&ProjectSetting| {
            metadata.get(setting.name()).map(String::as_str) != Some(setting.value())
        };
        let update = Update {
            public: self.public.filter(|public| *public != before.public),
            settings: self.settings.iter().filter(is_new).copied().collect(),
        };
        tenancy::project::update(&local.db, &permit, update, local.now()).await?;
        let limit = self.quota;
        if let Some(limit) = limit.filter(|limit| limit.bytes() != before.storage_limit) {
            let permit = local::system()?;
            tenancy::quota::set(&local.db, &permit, before.id, limit, local.now()).await?;
        }
        Ok(())
    }
}

/// A quota as it is shown.
fn bytes(limit: i64) -> String {
    match limit {
        ..0 => "none".to_owned(),
        limit => limit.to_string(),
    }
}
