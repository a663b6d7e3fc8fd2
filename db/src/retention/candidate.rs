//! What rules of retention look at: the listed artifacts of a repository with their tags and times. Accessories, and what
//! indexes list without a tag of its own, are none of these: they go with what they belong to.
//!
//! **Old views.** Artifacts are read page by page, in transactions of their own, and deleted later. A [`Fingerprint`] of
//! the repository is taken before the first page, and again in the transaction that deletes: where both are equal, no
//! artifact or tag came, went or moved in between, and what the rules said still holds. What happens to a single artifact
//! besides, as a pull, its [`Stamp`] shows, which is taken again once the artifact is held.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use model::{Digest, ManifestId, ProjectId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row, json_list, row};

/// Sums over the artifacts and tags of a repository, which are equal as long as these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    artifacts: [i64; 3],
    tags: [i64; 3],
}

/// The fingerprint of a repository: two statements that walk one index each.
///
/// # Errors
/// When a statement fails.
pub async fn fingerprint(reader: &mut Reader, repository: RepositoryId) -> Result<Fingerprint> {
    // A tag that moves gets another time. Times are reduced, or their sum would not fit.
    let artifacts = reader
        .query(
            "select count(*) as number, cast(coalesce(sum(id), 0) as bigint) as ids,
                 cast(coalesce(sum(pushed_at % 4294967291), 0) as bigint) as times
             from manifest where repository_id = $1 and listed = 1 and deleted_at is null",
        )
        .bind(repository)
        .one()
        .await?;
    let tags = reader
        .query(
            "select count(*) as number, cast(coalesce(sum(id), 0) as bigint) as ids,
                 cast(coalesce(sum(pushed_at % 4294967291), 0) as bigint) as times
             from tag where repository_id = $1",
        )
        .bind(repository)
        .one()
        .await?;
    Ok(Fingerprint {
        artifacts: sums(&artifacts)?,
        tags: sums(&tags)?,
    })
}

fn sums(row: &Row) -> Result<[i64; 3]> {
    Ok([
        row.get("repository", "number")?,
        row.get("repository", "ids")?,
        row.get("repository", "times")?,
    ])
}

/// A listed artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: Digest,
    /// What it is to clients.
    pub kind: String,
    /// When it or one of its tags was pushed last.
    pub pushed: Timestamp,
    /// When it or one of its tags was pulled last.
    pub pulled: Option<Timestamp>,
    /// Its tags, by name.
    pub tags: Vec<Tag>,
}

/// What of an artifact rules look at, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pushed: Timestamp,
    pulled: Option<Timestamp>,
    tags: u64,
}

impl Artifact {
    /// What of it rules look at.
    pub fn stamp(&self) -> Stamp {
        let mut names = DefaultHasher::new();
        for tag in &self.tags {
            tag.as_str().hash(&mut names);
        }
        Stamp {
            pushed: self.pushed,
            pulled: self.pulled,
            tags: names.finish(),
        }
    }
}

row! {
    columns artifact_columns;
    struct Found of manifest {
        id: ManifestId = m.id,
        digest: Digest = m.digest,
        kind: String = m.kind,
        pushed_at: Timestamp = m.pushed_at,
        pushed_again_at: Option<Timestamp> = m.pushed_again_at,
        pulled_at: Option<Timestamp> = s.pulled_at,
    }
}

impl From<Found> for Artifact {
    fn from(found: Found) -> Self {
        Self {
            id: found.id,
            digest: found.digest,
            kind: found.kind,
            pushed: found
                .pushed_at
                .max(found.pushed_again_at.unwrap_or(found.pushed_at)),
            pulled: found.pulled_at,
            tags: Vec::new(),
        }
    }
}

/// Listed artifacts of a repository with rows after `after`, in the order of these; at most `limit`.
///
/// # Errors
/// When a statement fails, and for a row that cannot be understood: nothing is deleted by half of what there is.
pub async fn page(
    reader: &mut Reader,
    repository: RepositoryId,
    after: ManifestId,
    limit: i64,
) -> Result<Vec<Artifact>> {
    let rows = reader
        .query(concat!(
            "select ",
            artifact_columns!(),
            " from manifest m left join manifest_stat s on s.manifest_id = m.id
             where m.repository_id = $1 and m.id > $2 and m.listed = 1 and m.deleted_at is null
             order by m.id limit $3"
        ))
        .bind(repository)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let found: Vec<Found> = rows.iter().map(Found::read).collect::<Result<_>>()?;
    let mut artifacts: Vec<Artifact> = found.into_iter().map(Artifact::from).collect();
    add_tags(reader, &mut artifacts).await?;
    Ok(artifacts)
}

/// One living artifact, as [`page`] has it.
///
/// # Errors
/// When a statement fails.
pub async fn one(reader: &mut Reader, id: ManifestId) -> Result<Option<Artifact>> {
    let row = reader
        .query(concat!(
            "select ",
            artifact_columns!(),
            " from manifest m left join manifest_stat s on s.manifest_id = m.id
             where m.id = $1 and m.listed = 1 and m.deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut artifacts = [Artifact::from(Found::read(&row)?)];
    add_tags(reader, &mut artifacts).await?;
    let [artifact] = artifacts;
    Ok(Some(artifact))
}

/// Adds tags and their times to artifacts in the order of their rows.
async fn add_tags(reader: &mut Reader, artifacts: &mut [Artifact]) -> Result<()> {
    let rows = reader
        .query_either(
            "select t.manifest_id, t.name, t.pushed_at, s.pulled_at from json_each($1) j
             cross join tag t on t.manifest_id = j.value
             left join tag_stat s on s.tag_id = t.id order by t.manifest_id, t.name",
            "select t.manifest_id, t.name, t.pushed_at, s.pulled_at from tag t
             left join tag_stat s on s.tag_id = t.id
             where t.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             order by t.manifest_id, t.name",
        )
        .bind(json_list(artifacts.iter().map(|artifact| artifact.id.0)))
        .all()
        .await?;
    for row in &rows {
        let of: ManifestId = row.get("tag", "manifest_id")?;
        let Ok(at) = artifacts.binary_search_by_key(&of, |artifact| artifact.id) else {
            continue;
        };
        let artifact = &mut artifacts[at];
        artifact.pushed = artifact.pushed.max(row.get("tag", "pushed_at")?);
        artifact.pulled = artifact.pulled.max(row.get("tag_stat", "pulled_at")?);
        artifact.tags.push(row.get("tag", "name")?);
    }
    Ok(())
}

/// Repositories of a project that are shown, with names after `after`, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn repositories(
    reader: &mut Reader,
    project: ProjectId,
    after: &str,
    limit: i64,
) -> Result<Vec<RepositoryName>> {
    let rows = reader
        .query(
            "select name from repository
             where project_id = $1 and published = 1 and deleted_at is null and name > $2 order by name limit $3",
        )
        .bind(project)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("repository", "name"))
        .collect()
}
