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
    let last = last.unwrap_or_default();
    let names = match visible {
        Visible::Everything => {
            // A project that was deleted has no tags.
            tx.query(
                "select r.name from repository r where r.name > $1
                 and exists (select 1 from tag t where t.repository_id = r.id)
                 order by r.name limit $2",
            )
            .bind(last)
            .bind(limit)
            .all()
            .await?
        }
        Visible::Projects(ids) if tx.is_postgres() => {
            // Sorted by project first, so that it ends with the project that fills the page. Names of a
            // project are those between its name with a slash and its name with what follows a slash.
            tx.query(
                "select r.name from (
                     select id, name || '/' as prefix, name || '0' as beyond from project where deleted_at is null
                     and (public = 1 or id in (select cast(value as bigint) from json_array_elements_text(cast($2 as json))))
                     and name || '0' > $1
                     order by name || '/') p
                 cross join lateral (
                     select r.name from repository r
                     where r.project_id = p.id and r.name > greatest($1, p.prefix) and r.name < p.beyond
                     and exists (select 1 from tag t where t.repository_id = r.id) order by r.name limit $3) r
                 order by p.prefix, r.name limit $3",
            )
            .bind(last)
            .bind(list_of(ids))
            .bind(limit)
            .all()
            .await?
        }
        Visible::Projects(ids) => return catalog_of(tx, ids, last, limit).await,
    };
    names
        .iter()
        .map(|row| row.text("repository", "name"))
        .collect()
}

fn list_of(ids: &[ProjectId]) -> String {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    serde_json::to_string(&ids).unwrap_or_default()
}

/// The catalog of SQLite, project by project: a statement costs next to nothing there.
async fn catalog_of(tx: &mut Tx, ids: &[ProjectId], last: &str, limit: i64) -> Result<Vec<String>> {
    let projects = tx
        .query(
            "select id from project where deleted_at is null and name || '0' > $1
             and (public = 1 or id in (select value from json_each($2))) order by name || '/'",
        )
        .bind(last)
        .bind(list_of(ids))
        .all()
        .await?;
    let mut names = Vec::new();
    for project in &projects {
        let left = limit - names.len() as i64;
        if left <= 0 {
            break;
        }
        let rows = tx
            .query(
                "select r.name from repository r where r.project_id = $1 and r.name > $2
                 and exists (select 1 from tag t where t.repository_id = r.id) order by r.name limit $3",
            )
            .bind(project.int("project", "id")?)
            .bind(last)
            .bind(left)
            .all()
            .await?;
        for row in &rows {
            names.push(row.text("repository", "name")?);
        }
    }
    Ok(names)
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
