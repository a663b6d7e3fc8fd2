//! `gantry tag`.

use std::process::ExitCode;

use clap::Subcommand;
use db::artifact;
use db::list::{Direction, Page, Selection};
use db::tag::history::{self, Pointed};
use db::tag::listing;
use model::{Address, Digest, ManifestId, Reference, RepositoryName, Tag};
use serde::Serialize;

use super::artifact::find;
use super::local::Local;
use super::out::{json_lines, line};
use super::project;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List a repository's tags.
    List {
        /// The repository's name, project included.
        repository: RepositoryName,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Add a tag to an artifact. The repository must not have that tag yet.
    Create {
        /// PROJECT/REPOSITORY:TAG or PROJECT/REPOSITORY@DIGEST.
        artifact: Address,
        /// The new tag.
        tag: Tag,
    },
    /// Delete a tag. The artifact is kept.
    Delete {
        /// The repository's name, project included.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// Show what a tag pointed at, newest first.
    History {
        /// The repository's name, project included.
        repository: RepositoryName,
        /// The tag, which may have been deleted.
        tag: Tag,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Point a tag at a digest from its history.
    Restore {
        /// The repository's name, project included.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The digest.
        digest: Digest,
    },
}

impl Command {
    pub(super) async fn run(self, local: &Local) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { repository, json } => list(local, &repository, json).await?,
            Self::Create { artifact, tag } => create(local, &artifact, &tag).await?,
            Self::Delete { repository, tag } => delete(local, &repository, tag).await?,
            Self::History {
                repository,
                tag,
                json,
            } => show_history(local, (&repository, &tag), json).await?,
            Self::Restore {
                repository,
                tag,
                digest,
            } => restore(local, (&repository, &tag), digest).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Serialize)]
struct Row {
    digest: String,
    name: String,
    push_time: String,
    size: i64,
}

async fn list(local: &Local, name: &RepositoryName, json: bool) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let repository = find(&mut reader, name).await?;
    let (tags, _) = listing::of_repository(&mut reader, repository, &Selection::all()).await?;
    let ids: Vec<ManifestId> = tags.iter().map(|tag| tag.manifest).collect();
    let mut artifacts = artifact::by_ids(&mut reader, &ids).await?;
    artifacts.sort_by_key(|artifact| artifact.id);
    let row = |tag: &listing::Listed| {
        let at = artifacts.binary_search_by_key(&tag.manifest, |artifact| artifact.id);
        let artifact = artifacts.get(at.ok()?)?;
        Some(Row {
            digest: artifact.digest.to_string(),
            name: tag.name.to_string(),
            push_time: tag.pushed_at.to_string(),
            size: artifact.size,
        })
    };
    let rows: Vec<Row> = tags.iter().filter_map(row).collect();
    if json {
        return Ok(json_lines(&rows)?);
    }
    for row in rows {
        line(&format!(
            "{} {} {} bytes, pushed {}",
            row.name, row.digest, row.size, row.push_time
        ));
    }
    Ok(())
}

async fn create(local: &Local, artifact: &Address, tag: &Tag) -> anyhow::Result<()> {
    let permit = project::permit(local, &artifact.repository.project()).await?;
    let registry = local.registry().await?;
    let named = (&artifact.reference, tag);
    registry
        .create_tag(&permit, &artifact.repository, named)
        .await?;
    line(&format!("{artifact} has the tag {tag}"));
    Ok(())
}

async fn delete(local: &Local, name: &RepositoryName, tag: Tag) -> anyhow::Result<()> {
    let permit = project::permit(local, &name.project()).await?;
    let registry = local.registry().await?;
    let reference = Reference::Tag(tag.clone());
    registry
        .remove_tag(&permit, name, (&reference, &tag))
        .await?;
    line(&format!("tag {name}:{tag} is deleted"));
    Ok(())
}

/// Number of history lines shown.
const SHOWN: i64 = 1_000;

#[derive(Serialize)]
struct Past {
    available: bool,
    digest: String,
    time: String,
    username: Option<String>,
}

impl From<Pointed> for Past {
    fn from(pointed: Pointed) -> Self {
        Self {
            available: pointed.is_there,
            digest: pointed.digest.to_string(),
            time: pointed.at.to_string(),
            username: pointed.by_name,
        }
    }
}

async fn show_history(
    local: &Local,
    (name, tag): (&RepositoryName, &Tag),
    json: bool,
) -> anyhow::Result<()> {
    let mut reader = local.db.reader().await?;
    let repository = find(&mut reader, name).await?;
    let newest = Selection {
        order: Some((history::SET, Direction::Down)),
        page: Page {
            offset: 0,
            limit: Some(SHOWN),
        },
        ..Selection::all()
    };
    let (pointed, _) = history::list(&mut reader, repository, tag, &newest).await?;
    let rows: Vec<Past> = pointed.into_iter().map(Past::from).collect();
    if json {
        return Ok(json_lines(&rows)?);
    }
    for row in rows {
        let by = row.username.as_deref().unwrap_or("the command line");
        let gone = if row.available { "" } else { ", deleted since" };
        line(&format!("{} {} by {by}{gone}", row.time, row.digest));
    }
    Ok(())
}

async fn restore(
    local: &Local,
    (name, tag): (&RepositoryName, &Tag),
    digest: Digest,
) -> anyhow::Result<()> {
    let permit = project::permit(local, &name.project()).await?;
    let registry = local.registry().await?;
    registry.restore_tag(&permit, name, (tag, digest)).await?;
    line(&format!("{name}:{tag} points at {digest}"));
    Ok(())
}
