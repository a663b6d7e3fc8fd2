//! Repositories. One that holds blobs only is not shown: it appears with its first manifest.

use model::{ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::{Result, Tx};

/// The repository's id, made where it is absent.
///
/// # Errors
/// When a statement fails.
pub async fn ensure(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<RepositoryId> {
    if let Some(id) = id(tx, name).await? {
        return Ok(id);
    }
    tx.query(
        "insert into repository (project_id, name, published, pull_count, created_at, updated_at)
         values ($1, $2, 0, 0, $3, $3) on conflict (name) do nothing",
    )
    .bind(project)
    .bind(name.as_str())
    .bind(now)
    .execute()
    .await?;
    let row = tx
        .query("select id from repository where name = $1")
        .bind(name.as_str())
        .one()
        .await?;
    row.int("repository", "id").map(RepositoryId)
}

/// The repository's id, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn id(tx: &mut Tx, name: &RepositoryName) -> Result<Option<RepositoryId>> {
    let row = tx
        .query("select id from repository where name = $1")
        .bind(name.as_str())
        .optional()
        .await?;
    row.map(|row| row.int("repository", "id").map(RepositoryId))
        .transpose()
}

/// The id of a repository that is shown.
///
/// # Errors
/// When the statement fails.
pub async fn published(tx: &mut Tx, name: &RepositoryName) -> Result<Option<RepositoryId>> {
    let row = tx
        .query("select id from repository where name = $1 and published = 1")
        .bind(name.as_str())
        .optional()
        .await?;
    row.map(|row| row.int("repository", "id").map(RepositoryId))
        .transpose()
}

/// Shows the repository from now on.
///
/// # Errors
/// When the statement fails.
pub async fn publish(tx: &mut Tx, id: RepositoryId, now: Timestamp) -> Result<()> {
    tx.query("update repository set published = 1, updated_at = $2 where id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Which repositories a catalog shows.
pub enum Visible<'a> {
    /// All.
    Everything,
    /// Those of public projects and of these.
    Projects(&'a [ProjectId]),
}

/// Names of repositories with at least one tag after `last`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn catalog(
    tx: &mut Tx,
    visible: Visible<'_>,
    last: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let (everything, projects) = match visible {
        Visible::Everything => (true, String::from("[]")),
        Visible::Projects(ids) => {
            let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
            (false, serde_json::to_string(&ids).unwrap_or_default())
        }
    };
    let rows = tx
        .query_either(
            "select r.name from repository r join project p on p.id = r.project_id
             where r.name > $1 and p.deleted_at is null
             and ($2 = 1 or p.public = 1 or p.id in (select value from json_each($3)))
             and exists (select 1 from tag t where t.repository_id = r.id)
             order by r.name limit $4",
            "select r.name from repository r join project p on p.id = r.project_id
             where r.name > $1 and p.deleted_at is null
             and ($2 = 1 or p.public = 1
                  or p.id in (select cast(value as bigint) from json_array_elements_text(cast($3 as json))))
             and exists (select 1 from tag t where t.repository_id = r.id)
             order by r.name limit $4",
        )
        .bind(last.unwrap_or_default())
        .bind(everything)
        .bind(projects)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.text("repository", "name"))
        .collect()
}

/// Adds to the pull counter.
///
/// # Errors
/// When the statement fails.
pub async fn count_pulls(tx: &mut Tx, name: &RepositoryName, pulls: i64) -> Result<()> {
    tx.query("update repository set pull_count = pull_count + $2 where name = $1")
        .bind(name.as_str())
        .bind(pulls)
        .execute()
        .await?;
    Ok(())
}
