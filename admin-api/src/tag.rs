//! Tags of artifacts.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod overview;
mod platform;

use std::collections::HashSet;

use db::Reader;
use db::immutability::Immutability;
use db::tag::listing::Listed;
use model::{ManifestId, ProjectId, RepositoryId, RepositoryName, Tag, TagId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::project::NEVER;

/// A tag in the API.
#[derive(Serialize, ToSchema)]
#[schema(as = Tag)]
pub(crate) struct View {
    #[schema(value_type = i64)]
    artifact_id: ManifestId,
    #[schema(value_type = i64)]
    id: TagId,
    immutable: bool,
    name: String,
    pull_time: String,
    push_time: String,
    #[schema(value_type = i64)]
    repository_id: RepositoryId,
}

impl View {
    pub(crate) fn new(tag: &Listed, immutable: &HashSet<TagId>) -> Self {
        Self {
            artifact_id: tag.manifest,
            id: tag.id,
            immutable: immutable.contains(&tag.id),
            name: tag.name.to_string(),
            pull_time: time(tag.pulled_at),
            push_time: tag.pushed_at.to_string(),
            repository_id: tag.repository,
        }
    }
}

/// A time, or Harbor's for one that never was.
pub(crate) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| at.to_string())
}

/// The immutable ones among some tags, each given with the name of its repository.
pub(crate) async fn immutable_among(
    reader: &mut Reader,
    project: ProjectId,
    tags: &[(&RepositoryName, &Listed)],
) -> Result<HashSet<TagId>, Error> {
    let rules = Immutability::of(reader, project).await?;
    if rules.is_empty() {
        return Ok(HashSet::new());
    }
    let tags = tags.iter();
    let tags: Vec<(RepositoryName, Tag, TagId)> = tags
        .map(|(repository, tag)| ((*repository).clone(), tag.name.clone(), tag.id))
        .collect();
    // A hundred rules for thousands of tags take a while.
    let covered = tokio::task::spawn_blocking(move || {
        let covered = tags
            .iter()
            .filter(|(repository, tag, _)| rules.covers(repository, tag));
        covered.map(|(_, _, id)| *id).collect()
    });
    covered.await.map_err(Error::Interrupted)
}
