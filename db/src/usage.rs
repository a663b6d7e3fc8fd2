//! Storage and use of projects and repositories, and storage of the whole installation.

use std::collections::HashMap;

use model::{Digest, ProjectId, ProjectName, RepositoryId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row, json_list};

/// Totals over the repositories of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectUse {
    /// Repositories that it shows.
    pub repositories: i64,
    /// Artifacts that they list.
    pub artifacts: i64,
    /// How often manifests were pulled.
    pub pulls: i64,
    /// When one was last pulled.
    pub pulled_at: Option<Timestamp>,
    /// When one was last pushed.
    pub pushed_at: Option<Timestamp>,
}

/// Totals over the repositories of some projects; projects without any are left out.
///
/// # Errors
/// When the statement fails.
pub async fn of_projects(
    reader: &mut Reader,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, ProjectUse>> {
    macro_rules! select {
        ($among:literal) => {
            concat!(
                "select r.project_id, count(*) as repositories, cast(sum(r.artifacts) as bigint) as artifacts,
                     cast(coalesce(sum(s.pulls), 0) as bigint) as pulls, max(s.pulled_at) as pulled_at,
                     max(r.updated_at) as pushed_at
                 from repository r left join repository_stat s on s.repository_id = r.id
                 where r.published = 1 and r.deleted_at is null and r.project_id ",
                $among,
                " group by r.project_id"
            )
        };
    }
    let rows = reader
        .query_either(
            select!("in (select value from json_each($1))"),
            select!(
                "= any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(projects.iter().map(|id| id.0)))
        .all()
        .await?;
    let read = |row: &Row| {
        let id = row.get("repository", "project_id")?;
        let used = ProjectUse {
            repositories: row.get("repository", "repositories")?,
            artifacts: row.get("repository", "artifacts")?,
            pulls: row.get("repository_stat", "pulls")?,
            pulled_at: row.get("repository_stat", "pulled_at")?,
            pushed_at: row.get("repository", "pushed_at")?,
        };
        Ok((id, used))
    };
    rows.iter().map(read).collect()
}

/// Maximum rows of one repository to count.
pub const COUNTED: i64 = 10_000;

/// What a repository holds. Each count ends beyond [`COUNTED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepositoryUse {
    /// Blobs that it links.
    pub blobs: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Its tags.
    pub tags: i64,
    /// Artifacts that it lists and that have no tag.
    pub untagged: i64,
    /// When a manifest was last pulled.
    pub pulled_at: Option<Timestamp>,
}

/// What some repositories hold.
///
/// # Errors
/// When the statement fails.
pub async fn of_repositories(
    reader: &mut Reader,
    repositories: &[RepositoryId],
) -> Result<HashMap<RepositoryId, RepositoryUse>> {
    macro_rules! select {
        ($among:literal) => {
            concat!(
                "select r.id, s.pulled_at,
                     (select count(*) from (select l.blob_id from repository_blob l where l.repository_id = r.id limit $2) c) as blobs,
                     (select cast(coalesce(sum(c.size), 0) as bigint) from (select b.size from repository_blob l
                         join blob b on b.id = l.blob_id where l.repository_id = r.id limit $2) c) as bytes,
                     (select count(*) from (select t.id from tag t where t.repository_id = r.id limit $2) c) as tags,
                     (select count(*) from (select m.id from manifest m where m.repository_id = r.id and m.listed = 1
                         and m.tagged = 0 and m.deleted_at is null limit $2) c) as untagged
                 from repository r left join repository_stat s on s.repository_id = r.id where r.id ",
                $among
            )
        };
    }
    let rows = reader
        .query_either(
            select!("in (select value from json_each($1))"),
            select!(
                "= any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))"
            ),
        )
        .bind(json_list(repositories.iter().map(|id| id.0)))
        .bind(COUNTED + 1)
        .all()
        .await?;
    let read = |row: &Row| {
        let id = row.get("repository", "id")?;
        let used = RepositoryUse {
            blobs: row.get("repository_blob", "blobs")?,
            bytes: row.get("blob", "bytes")?,
            tags: row.get("tag", "tags")?,
            untagged: row.get("manifest", "untagged")?,
            pulled_at: row.get("repository_stat", "pulled_at")?,
        };
        Ok((id, used))
    };
    rows.iter().map(read).collect()
}

/// What the installation holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blobs.
    pub blobs: i64,
    /// Their bytes, each blob counted once, as in the store.
    pub blob_bytes: i64,
    /// What all projects hold, where a blob counts in each of them.
    pub project_bytes: i64,
    /// Objects that wait to be deleted.
    pub garbage_objects: i64,
    /// Their bytes, as far as they are known.
    pub garbage_bytes: i64,
}

/// Counts what the installation holds. This reads all blobs.
///
/// # Errors
/// When the statement fails.
pub async fn totals(reader: &mut Reader) -> Result<Totals> {
    let row = reader
        .query(
            "select b.blobs, b.bytes, u.bytes as project_bytes, g.objects, g.bytes as garbage_bytes
             from (select count(*) as blobs, cast(coalesce(sum(size), 0) as bigint) as bytes from blob) b
             cross join (select cast(coalesce(sum(bytes), 0) as bigint) as bytes from
                 (select used as bytes from project_usage union all select -bytes from project_refund) held) u
             cross join (select count(*) as objects, cast(coalesce(sum(size), 0) as bigint) as bytes from object_garbage) g",
        )
        .one()
        .await?;
    Ok(Totals {
        blobs: row.get("blob", "blobs")?,
        blob_bytes: row.get("blob", "bytes")?,
        project_bytes: row.get("project_usage", "project_bytes")?,
        garbage_objects: row.get("object_garbage", "objects")?,
        garbage_bytes: row.get("object_garbage", "garbage_bytes")?,
    })
}

/// A large project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Bytes that it holds.
    pub used: i64,
    /// Bytes that it may hold; -1 for no limit.
    pub limit: i64,
}

/// The largest projects, at most `limit`. This reads all projects.
///
/// # Errors
/// When the statement fails.
pub async fn largest_projects(reader: &mut Reader, limit: i64) -> Result<Vec<LargeProject>> {
    let rows = reader
        .query(
            "select p.id, p.name, p.storage_limit, h.used from (
                 select project_id, cast(sum(bytes) as bigint) as used from (
                     select project_id, used as bytes from project_usage
                     union all select project_id, -bytes from project_refund) held group by project_id) h
             join project p on p.id = h.project_id and p.deleted_at is null
             order by h.used desc, p.id limit $1",
        )
        .bind(limit)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(LargeProject {
            id: row.get("project", "id")?,
            name: row.get("project", "name")?,
            used: row.get("project_usage", "used")?,
            limit: row.get("project", "storage_limit")?,
        })
    };
    rows.iter().map(read).collect()
}

/// A large blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: i64,
    /// Repositories that link it.
    pub repositories: i64,
}

/// The largest blobs, at most `limit`. This reads all blobs.
///
/// # Errors
/// When the statement fails.
pub async fn largest_blobs(reader: &mut Reader, limit: i64) -> Result<Vec<LargeBlob>> {
    let rows = reader
        .query(
            "select b.digest, b.size, (select count(*) from repository_blob l where l.blob_id = b.id) as repositories
             from (select id, digest, size from blob order by size desc, id limit $1) b order by b.size desc, b.id",
        )
        .bind(limit)
        .all()
        .await?;
    let read = |row: &Row| {
        Ok(LargeBlob {
            digest: row.get("blob", "digest")?,
            size: row.get("blob", "size")?,
            repositories: row.get("repository_blob", "repositories")?,
        })
    };
    rows.iter().map(read).collect()
}
