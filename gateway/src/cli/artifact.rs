//! `gantry artifact`.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::Subcommand;
use db::artifact::{self, Artifact};
use db::list::{Direction, Page, Selection};
use db::repository;
use db::tag::listing;
use model::{Address, ManifestId, RepositoryId, RepositoryName};
use registry::artifact::{OtherTags, Source};
use serde::Serialize;

use super::local::Local;
use super::out::{json_lines, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a repository's artifacts, newest first.
    List {
        /// The repository's name, project included.
        repository: RepositoryName,
        /// Maximum number of artifacts.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Copy an artifact with its accessories and all its tags into another repository. No blobs are copied.
    Copy {
        /// PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST.
        from: Address,
        /// The other repository's name, project included.
        into: RepositoryName,
    },
    /// Delete an artifact with all its tags and accessories.
    Delete {
        /// PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST.
        artifact: Address,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List {
                repository,
                limit,
                json,
            } => list(local, &repository, (limit, json)).await?,
            Self::Copy { from, into } => copy(local, &from, &into).await?,
            Self::Delete { artifact } => delete(local, &artifact).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The repository with this name.
pub(super) async fn find(
    reader: &mut db::Reader,
    name: &RepositoryName,
) -> anyhow::Result<RepositoryId> {
    let project = project::find(reader, &name.project()).await?.id;
    let found = repository::published_in(reader, project, name).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no repository {name}"))
}

#[derive(Serialize)]
struct Row {
    digest: String,
    media_type: String,
    push_time: String,
    size: i64,
    tags: Vec<String>,
    r#type: String,
}

/// Number of artifacts whose tags are read together.
const TOGETHER: usize = 50;

async fn list(
    local: &Local,
    name: &RepositoryName,
    (limit, json): (u32, bool),
) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let repository = find(&mut reader, name).await?;
    let newest = Selection {
        order: Some((artifact::PUSHED, Direction::Down)),
        page: Page {
            offset: 0,
            limit: Some(limit.into()),
        },
        ..Selection::all()
    };
    let (artifacts, _) = artifact::list(&mut reader, repository, &newest).await?;
    let ids: Vec<ManifestId> = artifacts.iter().map(|artifact| artifact.id).collect();
    let mut tags: HashMap<ManifestId, Vec<String>> = HashMap::new();
    for ids in ids.chunks(TOGETHER) {
        for tag in listing::of_manifests(&mut reader, ids).await? {
            let names = tags.entry(tag.manifest).or_default();
            names.push(tag.name.to_string());
        }
    }
    let row = |artifact: &Artifact| Row {
        digest: artifact.digest.to_string(),
        media_type: artifact.media_type.clone(),
        push_time: artifact.pushed_at.to_string(),
        size: artifact.size,
        tags: tags.get(&artifact.id).cloned().unwrap_or_default(),
        r#type: artifact.kind.clone(),
    };
    let rows: Vec<Row> = artifacts.iter().map(row).collect();
    if json {
        return Ok(json_lines(&rows)?);
    }
    for row in rows {
        let tags = row.tags.join(",");
        line(&format!(
            "{} {} {} bytes, pushed {} {tags}",
            row.digest, row.r#type, row.size, row.push_time
        ));
    }
    Ok(())
}

async fn copy(local: &Local, from: &Address, into: &RepositoryName) -> anyhow::Result<()> {
    let source = project::permit(local, &from.repository.project()).await?;
    let permit = project::permit(local, &into.project()).await?;
    let source = Source {
        permit: &source,
        repository: &from.repository,
        reference: &from.reference,
    };
    let registry = local.registry().await?;
    let digest = registry.copy_artifact(&permit, into, source).await?;
    line(&format!("{from} is copied to {into}@{digest}"));
    Ok(())
}

async fn delete(local: &Local, artifact: &Address) -> anyhow::Result<()> {
    let permit = project::permit(local, &artifact.repository.project()).await?;
    let registry = local.registry().await?;
    let (repository, reference) = (&artifact.repository, &artifact.reference);
    let deleted = registry.delete_artifact(&permit, repository, reference, OtherTags::Go);
    deleted.await?;
    line(&format!("artifact {artifact} is deleted"));
    Ok(())
}
