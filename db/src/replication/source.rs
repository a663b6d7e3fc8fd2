//! What is here to be copied: repositories, and their artifacts with tags and labels.

use std::collections::HashMap;

use model::{Digest, ManifestId, RepositoryId, RepositoryName, Tag};

use crate::error::Result;
use crate::label::{self, Label};
use crate::sql::{Reader, Row, json_list, row};

row! {
    columns repository_columns;
    /// A repository that has artifacts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Repository of repository {
        /// Its id.
        pub id: RepositoryId = r.id,
        /// Its whole name.
        pub name: RepositoryName = r.name,
    }
    computed {
        /// Whether everyone may pull from its project.
        pub public: bool = "p.public",
    }
}

/// Repositories with names after `after`, bytewise sorted, at most `limit`; of some projects, if some are named.
///
/// # Errors
/// When the statement fails.
pub async fn repositories(
    reader: &mut Reader,
    projects: Option<&[String]>,
    after: &str,
    limit: i64,
) -> Result<Vec<Repository>> {
    let rows = reader
        .query_either(
            concat!(
                "select ",
                repository_columns!(),
                " from repository r join project p on p.id = r.project_id and p.deleted_at is null
                 where r.deleted_at is null and r.published = 1 and r.name > $1
                 and ($2 is null or p.name in (select value from json_each($2))) order by r.name limit $3"
            ),
            concat!(
                "select ",
                repository_columns!(),
                " from repository r join project p on p.id = r.project_id and p.deleted_at is null
                 where r.deleted_at is null and r.published = 1 and r.name > $1
                 and ($2 is null or p.name = any (array(select json_array_elements_text(cast($2 as json)))))
                 order by r.name limit $3"
            ),
        )
        .bind(after)
        .bind(projects.map(json_list))
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Repository::read).collect()
}

/// One repository that has artifacts.
///
/// # Errors
/// When the statement fails.
pub async fn repository(reader: &mut Reader, name: &RepositoryName) -> Result<Option<Repository>> {
    let row = reader
        .query(concat!(
            "select ",
            repository_columns!(),
            " from repository r join project p on p.id = r.project_id and p.deleted_at is null
             where r.deleted_at is null and r.published = 1 and r.name = $1"
        ))
        .bind(name.as_str())
        .optional()
        .await?;
    row.as_ref().map(Repository::read).transpose()
}

/// An artifact to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Names of its labels.
    pub labels: Vec<String>,
}

/// Artifacts of a repository after a row, at most `limit`: those that are listed, as accessories come along.
///
/// # Errors
/// When a statement fails.
pub async fn artifacts(
    reader: &mut Reader,
    repository: RepositoryId,
    after: ManifestId,
    limit: i64,
) -> Result<Vec<Artifact>> {
    let rows = reader
        .query(
            "select m.id, m.digest from manifest m
             where m.repository_id = $1 and m.id > $2 and m.listed = 1 and m.deleted_at is null order by m.id limit $3",
        )
        .bind(repository)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(Artifact {
            id: row.get("manifest", "id")?,
            digest: row.get("manifest", "digest")?,
            tags: Vec::new(),
            labels: Vec::new(),
        })
    };
    let mut artifacts: Vec<Artifact> = rows.iter().map(read).collect::<Result<_>>()?;
    let ids: Vec<ManifestId> = artifacts.iter().map(|artifact| artifact.id).collect();
    let mut tags = tags(reader, &ids).await?;
    let mut labels = label::of_manifests(reader, &ids).await?;
    for artifact in &mut artifacts {
        artifact.tags = tags.remove(&artifact.id).unwrap_or_default();
        let labels = labels.remove(&artifact.id).unwrap_or_default();
        artifact.labels = labels.into_iter().map(|label| label.name).collect();
    }
    Ok(artifacts)
}

/// Whether a tag names an artifact of a repository.
///
/// # Errors
/// When the statement fails.
pub async fn is_tagged(
    reader: &mut Reader,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<bool> {
    let row = reader
        .query(
            "select t.name from manifest m join tag t on t.manifest_id = m.id
             where m.repository_id = $1 and m.digest = $2 and m.deleted_at is null limit 1",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Labels of an artifact.
///
/// # Errors
/// When a statement fails.
pub async fn labels(
    reader: &mut Reader,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Label>> {
    let Some(id) = manifest(reader, repository, digest).await? else {
        return Ok(Vec::new());
    };
    let mut labels = label::of_manifests(reader, &[id]).await?;
    Ok(labels.remove(&id).unwrap_or_default())
}

/// Tags of an artifact.
///
/// # Errors
/// When a statement fails.
pub async fn tags_of(
    reader: &mut Reader,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Tag>> {
    let Some(id) = manifest(reader, repository, digest).await? else {
        return Ok(Vec::new());
    };
    let mut tags = tags(reader, &[id]).await?;
    Ok(tags.remove(&id).unwrap_or_default())
}

async fn manifest(
    reader: &mut Reader,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<ManifestId>> {
    let row = reader
        .query(
            "select m.id from repository r join manifest m on m.repository_id = r.id
             where r.name = $1 and r.deleted_at is null and m.digest = $2 and m.deleted_at is null",
        )
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "id")).transpose()
}

/// Tags of some manifests.
async fn tags(
    reader: &mut Reader,
    manifests: &[ManifestId],
) -> Result<HashMap<ManifestId, Vec<Tag>>> {
    let rows = reader
        .query_either(
            "select t.manifest_id, t.name from json_each($1) j cross join tag t on t.manifest_id = j.value order by t.name",
            "select t.manifest_id, t.name from tag t
             where t.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) order by t.name",
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut tags: HashMap<ManifestId, Vec<Tag>> = HashMap::new();
    for row in &rows {
        let of: ManifestId = row.get("tag", "manifest_id")?;
        tags.entry(of).or_default().push(row.get("tag", "name")?);
    }
    Ok(tags)
}
