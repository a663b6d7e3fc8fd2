//! `gantry registry`: other registries, to which artifacts are copied and from which they come.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use db::list::Selection;
use db::registry::{self as registries, Content, Registry};
use model::RegistryId;
use model::replication::RegistryKind;
use remote::{Credentials, Patience, Target};
use serde_json::{Value, json};
use tenancy::registry::{self as service, NewSecret};
use tenancy::secret::Secret;

use super::local::{self, Local};
use super::out::{self, line};

/// The environment variable for a secret.
const SECRET: &str = "GANTRY_REGISTRY_SECRET";

#[derive(Subcommand)]
pub(super) enum Command {
    /// List other registries.
    List {
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Add a registry, once it has answered. The secret comes from GANTRY_REGISTRY_SECRET.
    Add(Add),
    /// Try a registry out: whether it answers, is of its kind, and takes the credentials.
    Ping {
        /// The registry's name.
        name: String,
    },
    /// Remove a registry that no policy names.
    Remove {
        /// The registry's name.
        name: String,
    },
}

/// A new registry.
#[derive(Args)]
pub(super) struct Add {
    /// Its name.
    name: String,
    /// Its URL: https://HOST[:PORT], or http:// without encryption.
    #[arg(long)]
    url: String,
    /// harbor (also for another Gantry), docker-registry, docker-hub, azure-acr, github-ghcr, google-gcr or jfrog-artifactory.
    #[arg(long = "type", value_name = "TYPE", default_value = "docker-registry", value_parser = kind)]
    kind: RegistryKind,
    /// What it is for.
    #[arg(long, default_value = "")]
    description: String,
    /// Who signs in there; without it, nobody does.
    #[arg(long, value_name = "NAME", default_value = "")]
    access_key: String,
    /// A file with authorities of its own, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believe whoever answers, whatever certificate they have.
    #[arg(long)]
    insecure: bool,
}

fn kind(text: &str) -> Result<RegistryKind, &'static str> {
    RegistryKind::from_name(text).ok_or("there is no such type")
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { json } => list(local, json).await?,
            Self::Add(new) => add(local, new).await?,
            Self::Ping { name } => {
                let found = find(local, &name).await?;
                ping(local, &Target::of(&found, &local.master)?).await?;
                line(&format!("{name} can be used"));
            }
            Self::Remove { name } => remove(local, &name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A registry by its name.
pub(super) async fn find(local: &Local, name: &str) -> anyhow::Result<Registry> {
    let found = registries::by_name(&mut local.db.reader().await?, name).await?;
    found.with_context(|| format!("there is no registry {name}"))
}

async fn list(local: &Local, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let (found, _) = registries::list(&mut reader, &Selection::all()).await?;
    if json {
        let values: Vec<Value> = found.iter().map(shown).collect();
        return Ok(out::json_lines(&values)?);
    }
    for registry in found {
        let (id, name, kind) = (registry.id, &registry.name, registry.kind.name());
        let state = registry.problem.as_deref().unwrap_or("healthy");
        line(&format!("{id:>6} {name} {kind} {}: {state}", registry.url));
    }
    Ok(())
}

/// A registry as JSON, without its secret.
fn shown(registry: &Registry) -> Value {
    json!({
        "id": registry.id, "name": registry.name, "type": registry.kind.name(), "url": registry.url,
        "access_key": registry.access_key, "insecure": registry.insecure, "problem": registry.problem,
        "checked": registry.checked_at.to_string(),
    })
}

async fn add(local: &Local, new: Add) -> anyhow::Result<()> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let content = Content {
        name: new.name,
        description: new.description,
        kind: new.kind,
        url: new.url.trim_end_matches('/').to_owned(),
        access_key: new.access_key,
        insecure: new.insecure,
        ca: new.ca.as_ref().map(read).transpose()?,
    };
    // Not an argument, which every account of the machine could read.
    let secret = Secret::new(std::env::var(SECRET).unwrap_or_default());
    ping(local, &target(&content, &secret)).await?;
    let secret = match content.access_key.is_empty() {
        true => NewSecret::Removed,
        false => NewSecret::Set(secret),
    };
    let (permit, name) = (local::system()?, content.name.clone());
    let at = (&local.db, &local.master);
    let id: RegistryId = service::create(at, &permit, (content, secret), local.now()).await?;
    line(&format!("registry {name} is added with id {id}"));
    Ok(())
}

/// A registry as it is to be stored, with its secret.
pub(super) fn target(content: &Content, secret: &Secret) -> Target {
    Target {
        kind: content.kind,
        url: content.url.clone(),
        credentials: (!content.access_key.is_empty()).then(|| Credentials {
            access_key: content.access_key.clone(),
            secret: secret.clone(),
        }),
        insecure: content.insecure,
        ca: content.ca.clone(),
    }
}

/// Tries a registry out. Connections pass the same guard as the server's.
pub(super) async fn ping(local: &Local, target: &Target) -> anyhow::Result<()> {
    let guard = Arc::new(local.config.outgoing.guard());
    let remote = target.connect(guard, Patience::TRYING)?;
    Ok(jobs::replication::check(&remote).await?)
}

async fn remove(local: &Local, name: &str) -> anyhow::Result<()> {
    let found = find(local, name).await?;
    service::delete(&local.db, &local::system()?, found.id, local.now()).await?;
    line(&format!("registry {name} is removed"));
    Ok(())
}
