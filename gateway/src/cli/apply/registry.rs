//! Other registries in files. A secret comes from an environment variable or a file that the document names.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;
use db::registry::{self as registries, Content, Registry as Stored};
use model::RegistryId;
use model::replication::RegistryKind;
use remote::Target;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use tenancy::registry::{self as service, NewSecret};
use tenancy::secret::Secret;

use super::difference::{Changes, Found, Made};
use super::text;
use super::world::World;
use crate::cli::{local, registry};

/// Bytes of a name, of other texts, and of a secret or authorities.
const LONGEST_NAME: usize = 64;
const LONGEST_TEXT: usize = 1_024;
const LONGEST_FILE: usize = 64 << 10;
/// What a URL must be. It is not repeated: it may have a password in it.
const URL: &str =
    "write https://HOST[:PORT], or http:// without encryption, and no user, query or fragment";

/// A registry. What is left out stays as it is.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) name: String,
    url: String,
    kind: Option<RegistryKind>,
    description: Option<String>,
    access_key: Option<String>,
    insecure: Option<bool>,
    ca: Option<String>,
    secret: Option<Secret>,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a registry")]
struct Fields {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: String,
    url: String,
    #[serde(default, rename = "type", deserialize_with = "kind")]
    kind: Option<RegistryKind>,
    description: Option<String>,
    access_key: Option<String>,
    insecure: Option<bool>,
    ca_file: Option<PathBuf>,
    secret_env: Option<String>,
    secret_file: Option<PathBuf>,
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RegistryKind>, D::Error> {
    let named = |text: &str| {
        RegistryKind::from_name(text).ok_or_else(|| {
            let names = RegistryKind::ALL.map(RegistryKind::name).join(", ");
            format!("write one of {names}")
        })
    };
    text::by(deserializer, named).map(Some)
}

fn read_file(field: &str, path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{field}: cannot read {}", path.display()))
}

fn short(field: &str, text: Option<&str>, most: usize) -> anyhow::Result<()> {
    let is_short = text.is_none_or(|text| text.len() <= most);
    anyhow::ensure!(is_short, "{field}: write at most {most} bytes");
    Ok(())
}

/// Refuses a URL or authorities with which no connection could be made.
fn check(url: &str, kind: Option<RegistryKind>, ca: Option<&str>) -> anyhow::Result<()> {
    anyhow::ensure!(!url.contains('#'), "url: {URL}");
    let target = Target {
        kind: kind.unwrap_or(RegistryKind::Docker),
        url: url.to_owned(),
        credentials: None,
        insecure: false,
        ca: ca.map(str::to_owned),
    };
    target.check().map_err(|error| match error {
        remote::Error::Url(_) => anyhow::anyhow!("url: {URL}"),
        remote::Error::Authority(why) => anyhow::anyhow!("ca_file: {why}"),
        other => other.into(),
    })
}

/// What a registry is called.
pub(super) fn title(name: &str) -> String {
    format!("registry {name}")
}

impl Registry {
    /// Reads a document; paths in it begin at a folder.
    pub(super) fn read(
        document: serde_norway::Deserializer<'_>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let read = Fields::deserialize(document)?;
        let name = read.name.trim();
        if name.is_empty() || name.len() > LONGEST_NAME {
            anyhow::bail!("name: write 1 to {LONGEST_NAME} bytes");
        }
        short("url", Some(&read.url), LONGEST_TEXT)?;
        short("description", read.description.as_deref(), LONGEST_TEXT)?;
        short("access_key", read.access_key.as_deref(), LONGEST_TEXT)?;
        let secret = read.secret(folder)?;
        let is_nobody = read.access_key.as_deref().is_none_or(str::is_empty);
        if secret.is_some() && is_nobody {
            anyhow::bail!("access_key: write who signs in with the secret");
        }
        let ca = read.ca_file.map(|path| folder.join(path));
        let ca = ca.map(|path| read_file("ca_file", &path)).transpose()?;
        short("ca_file", ca.as_deref(), LONGEST_FILE)?;
        let url = read.url.trim().trim_end_matches('/').to_owned();
        check(&url, read.kind, ca.as_deref())?;
        Ok(Self {
            name: name.to_owned(),
            url,
            kind: read.kind,
            description: read.description,
            access_key: read.access_key,
            insecure: read.insecure,
            ca,
            secret,
        })
    }

    pub(super) fn title(&self) -> String {
        title(&self.name)
    }

    /// What the registry is, with what it is so far.
    fn content(&self, before: Option<&Stored>) -> Content {
        let text = |new: Option<&String>| new.cloned().unwrap_or_default();
        let description = before.map(|before| &before.description);
        let access_key = before.map(|before| &before.access_key);
        let kind = self.kind.or(before.map(|before| before.kind));
        let insecure = self.insecure.or(before.map(|before| before.insecure));
        let ca = self.ca.clone();
        Content {
            name: self.name.clone(),
            description: text(self.description.as_ref().or(description)),
            kind: kind.unwrap_or(RegistryKind::Docker),
            url: self.url.clone(),
            access_key: text(self.access_key.as_ref().or(access_key)),
            insecure: insecure.unwrap_or_default(),
            ca: ca.or_else(|| before.and_then(|before| before.ca.clone())),
        }
    }

    /// What becomes of the secret.
    fn new_secret(&self, content: &Content) -> NewSecret {
        match &self.secret {
            _ if content.access_key.is_empty() => NewSecret::Removed,
            Some(secret) => NewSecret::Set(secret.clone()),
            None => NewSecret::Kept,
        }
    }

    async fn stored(&self, world: &World<'_>) -> anyhow::Result<Option<Stored>> {
        let mut reader = world.local.db.reader().await?;
        Ok(registries::by_name(&mut reader, &self.name).await?)
    }

    pub(super) async fn find(&self, world: &World<'_>) -> anyhow::Result<Option<Found>> {
        let Some(before) = self.stored(world).await? else {
            return Ok(None);
        };
        let (known, content) = (
            service::secret_of(&before, &world.local.master)?,
            self.content(Some(&before)),
        );
        let is_moved = before.url != content.url;
        if is_moved && known.is_some() && self.secret.is_none() && !content.access_key.is_empty() {
            anyhow::bail!(
                "secret_env or secret_file: give the secret: the stored one goes to no other address"
            );
        }
        let mut changes = Changes::default();
        changes.compare("url", &before.url, Some(&content.url));
        changes.compare("type", before.kind.name(), Some(content.kind.name()));
        let description = Some(&content.description);
        changes.compare("description", &before.description, description);
        changes.compare("access_key", &before.access_key, Some(&content.access_key));
        changes.compare("insecure", before.insecure, Some(content.insecure));
        if before.ca != content.ca {
            changes.hide("ca_file");
        }
        if self.secret.is_some() && self.secret != known {
            changes.hide("secret");
        }
        let id = before.id.0;
        Ok(Some(Found { id, changes }))
    }

    pub(super) async fn create(&self, world: &World<'_>) -> anyhow::Result<Made> {
        let local = world.local;
        let content = self.content(None);
        let secret = self.new_secret(&content);
        let given = self.secret.clone().unwrap_or_default();
        registry::ping(local, &registry::target(&content, &given)).await?;
        let (at, permit) = ((&local.db, &local.master), local::system()?);
        let id = service::create(at, &permit, (content, secret), local.now()).await?;
        Ok(Made::new(id.0, None))
    }

    pub(super) async fn change(&self, world: &World<'_>, id: i64) -> anyhow::Result<()> {
        let (local, id) = (world.local, RegistryId(id));
        let before = self.stored(world).await?;
        let before = before.filter(|before| before.id == id);
        let before = before.ok_or(tenancy::Error::RegistryUnknown(id))?;
        let content = self.content(Some(&before));
        let used = match &self.secret {
            Some(secret) => Some(secret.clone()),
            None => service::secret_of(&before, &local.master)?,
        };
        let target = registry::target(&content, &used.unwrap_or_default());
        registry::ping(local, &target).await?;
        let secret = self.new_secret(&content);
        let (at, permit) = ((&local.db, &local.master), local::system()?);
        service::change(at, &permit, id, (content, secret), local.now()).await?;
        Ok(())
    }
}

impl Fields {
    /// The secret, if the document says where it is.
    fn secret(&self, folder: &Path) -> anyhow::Result<Option<Secret>> {
        let (field, text) = match (&self.secret_env, &self.secret_file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => anyhow::bail!("secret_env and secret_file: write one of them"),
            (Some(name), None) => {
                // Not with the cause, which may have the value in it.
                let value = env::var(name).ok();
                let missing = || format!("secret_env: set the environment variable {name}");
                ("secret_env", value.with_context(missing)?)
            }
            (None, Some(path)) => {
                let path = folder.join(path);
                ("secret_file", read_file("secret_file", &path)?)
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        anyhow::ensure!(!text.is_empty(), "{field}: the secret is empty");
        short(field, Some(text), LONGEST_FILE)?;
        Ok(Some(Secret::new(text.to_owned())))
    }
}
