//! Manifests without a tag, in projects that do not keep them for ever.

use model::{Digest, ManifestId, ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::broken::Walked;
use crate::error::Result;
use crate::sql::{Reader, Row, Tx};

/// Projects with a policy, and the seconds that an untagged manifest stays there.
///
/// # Errors
/// When the statement fails.
pub async fn policies(reader: &mut Reader) -> Result<Vec<(ProjectId, i64)>> {
    let rows = reader
        .query(
            "select id, untagged_secs from project where untagged_secs is not null and deleted_at is null order by id",
        )
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            let id = row.get("project", "id")?;
            Ok((id, row.get("project", "untagged_secs")?))
        })
        .collect()
}

/// All projects.
///
/// # Errors
/// When the statement fails.
pub async fn projects(reader: &mut Reader) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query("select id from project where deleted_at is null order by id")
        .all()
        .await?;
    rows.iter().map(|row| row.get("project", "id")).collect()
}

/// The policy of a project: seconds, or none.
///
/// # Errors
/// When the statement fails.
pub async fn policy(reader: &mut Reader, project: ProjectId) -> Result<Option<i64>> {
    let row = reader
        .query("select untagged_secs from project where id = $1")
        .bind(project)
        .one()
        .await?;
    row.get("project", "untagged_secs")
}

/// Gives a project a policy, or takes it away.
///
/// # Errors
/// When the statement fails.
pub async fn set_policy(tx: &mut Tx, project: ProjectId, secs: Option<i64>) -> Result<()> {
    tx.query("update project set untagged_secs = $2 where id = $1")
        .bind(project)
        .bind(secs)
        .execute()
        .await?;
    Ok(())
}

/// Repositories of a project with names after `after`.
///
/// # Errors
/// When the statement fails.
pub async fn repositories(
    reader: &mut Reader,
    project: ProjectId,
    after: &str,
    limit: i64,
) -> Result<Walked<(RepositoryId, RepositoryName), String>> {
    let rows = reader
        .query(
            "select id, name from repository where project_id = $1 and deleted_at is null and name > $2 order by name limit $3",
        )
        .bind(project)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let name = |row: &Row| row.get("repository", "name");
    Walked::read(&rows, name, |row| {
        let id = row.get("repository", "id")?;
        Ok((id, row.get("repository", "name")?))
    })
}

/// The condition that no tag, no index and no living subject keeps the living manifest `m`. Children of a deleted index
/// are kept until that is purged; then their time begins.
macro_rules! nothing_keeps {
    () => {
        "m.deleted_at is null and not exists (select 1 from tag t where t.manifest_id = m.id)
         and not exists (select 1 from manifest_reference c where c.child_id = m.id)
         and not exists (select 1 from manifest s where s.repository_id = m.repository_id and s.digest = m.subject
             and s.deleted_at is null)"
    };
}

/// A manifest that no tag, no index and no living subject keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untagged {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: Digest,
    /// When it was first seen untagged.
    pub since: Option<Timestamp>,
    /// When it was last pushed.
    pub pushed_at: Timestamp,
}

/// Such manifests of a repository with digests after `after`, given as bytes, since a digest may be damaged.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    reader: &mut Reader,
    repository: RepositoryId,
    after: &[u8],
    limit: i64,
) -> Result<Walked<Untagged, Vec<u8>>> {
    let rows = reader
        .query(concat!(
            "select m.id, m.digest, m.untagged_at, coalesce(m.pushed_again_at, m.pushed_at) as pushed_at
             from manifest m where m.repository_id = $1 and m.digest > $2 and ",
            nothing_keeps!(),
            " order by m.digest limit $3"
        ))
        .bind(repository)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let digest = |row: &Row| row.get("manifest", "digest");
    Walked::read(&rows, digest, |row| {
        Ok(Untagged {
            id: row.get("manifest", "id")?,
            digest: row.get("manifest", "digest")?,
            since: row.get("manifest", "untagged_at")?,
            pushed_at: row.get("manifest", "pushed_at")?,
        })
    })
}

/// Records since when manifests have been untagged, for those that still are.
///
/// # Errors
/// When a statement fails.
pub async fn note(tx: &mut Tx, manifests: &[ManifestId], now: Timestamp) -> Result<()> {
    let ids: Vec<i64> = manifests.iter().map(|id| id.0).collect();
    let ids = serde_json::to_string(&ids).unwrap_or_default();
    if tx.is_postgres() {
        // Transactions that tag one lock it: an earlier tag is seen below, and a later one waits.
        tx.query(
            "select id from manifest where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             order by id for update",
        )
        .bind(ids.as_str())
        .all()
        .await?;
    }
    tx.query_either(
        concat!(
            "update manifest set untagged_at = $1 where untagged_at is null and id in (
                 select m.id from manifest m where m.id in (select value from json_each($2)) and ",
            nothing_keeps!(),
            ")"
        ),
        concat!(
            "update manifest set untagged_at = $1 where untagged_at is null and id in (
                 select m.id from manifest m
                 where m.id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint))) and ",
            nothing_keeps!(),
            ")"
        ),
    )
    .bind(now)
    .bind(ids)
    .execute()
    .await?;
    Ok(())
}

/// Whether a manifest is still one that nothing keeps, and has been since `due`; it is locked until the transaction
/// ends, so that it cannot get a tag meanwhile.
///
/// # Errors
/// When a statement fails.
pub async fn hold(tx: &mut Tx, manifest: ManifestId, due: Timestamp) -> Result<bool> {
    let held = tx
        .query_either(
            "select 1 as held from manifest where id = $1 and untagged_at <= $2",
            "select cast(1 as bigint) as held from manifest where id = $1 and untagged_at <= $2 for update",
        )
        .bind(manifest)
        .bind(due)
        .optional()
        .await?;
    if held.is_none() {
        return Ok(false);
    }
    // Read after the row was locked, so everything committed before is seen.
    let free = tx
        .query(concat!(
            "select m.id from manifest m where m.id = $1 and ",
            nothing_keeps!()
        ))
        .bind(manifest)
        .optional()
        .await?;
    Ok(free.is_some())
}
