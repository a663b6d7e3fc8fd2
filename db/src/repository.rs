//! Repositories. One that holds blobs only is not shown: it appears with its first manifest.

use model::{ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::blob::Place;
use crate::cache::Touch;
use crate::page::{Page, bind_names, contains, list_of, one_of, places};
use crate::quota::Taking;
use crate::sql::{Query, Row};
use crate::{Error, Result, Tx, manifest};

/// The repository's id, made where it is absent, in a transaction that holds its project.
///
/// # Errors
/// [`Error::ProjectGone`] where the name belongs to another project, which was made after this one went.
pub async fn ensure(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<RepositoryId> {
    for _ in 0..ATTEMPTS {
        if let Some(id) = id_in(tx, project, name).await? {
            return Ok(id);
        }
        let made = tx
            .query(
                "insert into repository (project_id, name, published, created_at, updated_at) values ($1, $2, 0, $3, $3)
                 on conflict (name) where deleted_at is null do nothing returning id",
            )
            .bind(project)
            .bind(name.as_str())
            .bind(now)
            .optional()
            .await?;
        if let Some(row) = made {
            return row.int("repository", "id").map(RepositoryId);
        }
    }
    Err(Error::Contended("the repository"))
}

/// How often a repository may be deleted while it is about to be used.
const ATTEMPTS: usize = 5;

async fn id_in(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>> {
    let row = tx
        .query("select id, project_id from repository where name = $1 and deleted_at is null")
        .bind(name.as_str())
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.int("repository", "project_id")? != project.0 {
        return Err(Error::ProjectGone);
    }
    row.int("repository", "id").map(|id| Some(RepositoryId(id)))
}

/// The repository's id, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn id(tx: &mut Tx, name: &RepositoryName) -> Result<Option<RepositoryId>> {
    let row = tx
        .query("select id from repository where name = $1 and deleted_at is null")
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
        .query("select id from repository where name = $1 and published = 1 and deleted_at is null")
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
            tx.query(
                "select r.name from repository r where r.name > $1 and r.deleted_at is null
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
                     where r.project_id = p.id and r.deleted_at is null and r.name > greatest($1, p.prefix) and r.name < p.beyond
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
                "select r.name from repository r where r.project_id = $1 and r.deleted_at is null and r.name > $2
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

/// A repository as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its id.
    pub id: RepositoryId,
    /// Its project.
    pub project: ProjectId,
    /// The whole name.
    pub name: RepositoryName,
    /// How many artifacts a list of them shows: those with a tag and those that no index lists, but none that belongs
    /// to another as its subject says.
    pub artifacts: i64,
    /// How often a manifest was pulled.
    pub pulls: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last pushed into.
    pub updated_at: Timestamp,
}

/// Which repositories of a project a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, in any case.
    pub name_contains: Option<String>,
    /// The exact name.
    pub name: Option<String>,
    /// Any of these exact names, where there are some.
    pub names: Vec<String>,
}

/// In which order repositories are listed.
#[derive(Clone, Copy, Debug, Default)]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// By name, last first.
    NameDescending,
    /// By time of making.
    Created,
    /// By time of making, newest first.
    CreatedDescending,
    /// By time of the last change.
    Updated,
    /// By time of the last change, newest first.
    UpdatedDescending,
}

/// A repository with what a list counts of it.
macro_rules! counted {
    () => {
        "r.id, r.project_id, r.name, r.created_at, r.updated_at, coalesce(s.pulls, 0) as pulls,
         (select count(*) from manifest m where m.repository_id = r.id and m.subject is null
          and (exists (select 1 from tag t where t.manifest_id = m.id)
               or not exists (select 1 from manifest_reference c where c.child_id = m.id))) as artifacts"
    };
}

fn read(row: &Row) -> Result<Repository> {
    Ok(Repository {
        id: RepositoryId(row.int("repository", "id")?),
        project: ProjectId(row.int("repository", "project_id")?),
        name: row.parse("repository", "name")?,
        artifacts: row.int("repository", "artifacts")?,
        pulls: row.int("repository_stat", "pulls")?,
        created_at: row.time("repository", "created_at")?,
        updated_at: row.time("repository", "updated_at")?,
    })
}

/// The repositories that a project shows, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    tx: &mut Tx,
    project: ProjectId,
    filter: &Filter,
    order: Order,
    page: Page,
) -> Result<(Vec<Repository>, i64)> {
    let from = one_of(tx, LISTED, ("r.name", &filter.names), BOUND + 1);
    let limit = BOUND + places(&filter.names) + 1;
    let offset = limit + 1;
    let by = match order {
        Order::Name => "r.name",
        Order::NameDescending => "r.name desc",
        Order::Created => "r.created_at, r.id",
        Order::CreatedDescending => "r.created_at desc, r.id desc",
        Order::Updated => "r.updated_at, r.id",
        Order::UpdatedDescending => "r.updated_at desc, r.id desc",
    };
    let listed = tx.query_built(
        "repository.list",
        // Artifacts are counted for the page alone.
        format!(
            "select {} from (select r.* {from} order by {by} limit ${limit} offset ${offset}) r
             left join repository_stat s on s.repository_id = r.id order by {by}",
            counted!()
        ),
    );
    let listed = bind(listed, project, filter)
        .bind(page.limit())
        .bind(page.offset);
    let rows = listed.all().await?;
    let counted = tx.query_built(
        "repository.count",
        format!("select count(*) as total {from}"),
    );
    let count = bind(counted, project, filter).one().await?;
    Ok((
        rows.iter().map(read).collect::<Result<_>>()?,
        count.int("repository", "total")?,
    ))
}

/// How many values [`bind`] gives apart from the names.
const BOUND: usize = 3;

/// What a filter asks of the values that [`bind`] gives.
const LISTED: &str =
    "from repository r where r.project_id = $1 and r.published = 1 and r.deleted_at is null
    and ($2 is null or lower(r.name) like lower($2) escape '\\')
    and ($3 is null or r.name = $3)";

fn bind<'t>(query: Query<'t>, project: ProjectId, filter: &Filter) -> Query<'t> {
    let query = query
        .bind(project)
        .bind(filter.name_contains.as_deref().map(contains))
        .bind(filter.name.as_deref());
    bind_names(query, &filter.names)
}

/// The repository that is shown under a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(tx: &mut Tx, name: &RepositoryName) -> Result<Option<Repository>> {
    let row = tx
        .query(concat!(
            "select ",
            counted!(),
            " from repository r left join repository_stat s on s.repository_id = r.id
             where r.name = $1 and r.published = 1 and r.deleted_at is null"
        ))
        .bind(name.as_str())
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// Gives a repository that is shown a tombstone, in a transaction that holds its project alone: nothing of it can be
/// found any more, and its name is free. What it holds is left to [`purge`]. Whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn delete(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<bool> {
    let deleted = tx
        .query(
            "update repository set deleted_at = $3, updated_at = $3
             where name = $2 and project_id = $1 and published = 1 and deleted_at is null",
        )
        .bind(project)
        .bind(name.as_str())
        .bind(now)
        .execute()
        .await?;
    if deleted > 0 {
        tx.touch(Touch::Everything);
    }
    Ok(deleted > 0)
}

/// Removes those of the repositories that were never shown and hold nothing any more. Whoever is about to use one
/// meanwhile is run again, and makes it anew.
///
/// # Errors
/// When a statement fails.
pub async fn remove_unused(tx: &mut Tx, repositories: &[RepositoryId]) -> Result<()> {
    let mut ids: Vec<i64> = repositories.iter().map(|id| id.0).collect();
    if tx.is_postgres() {
        // Those that are being used are not waited for.
        let held = tx
            .query(
                "select id from repository
                 where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 and published = 0 and deleted_at is null order by id for update skip locked",
            )
            .bind(serde_json::to_string(&ids).unwrap_or_default())
            .all()
            .await?;
        let held = held.iter().map(|row| row.int("repository", "id"));
        ids = held.collect::<Result<_>>()?;
    }
    // A statement of its own: it sees what was committed before the rows were held.
    tx.query_either(
        "delete from repository where id in (select value from json_each($1))
         and published = 0 and deleted_at is null
         and not exists (select 1 from repository_blob l where l.repository_id = repository.id)
         and not exists (select 1 from manifest m where m.repository_id = repository.id)",
        "delete from repository where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
         and published = 0 and deleted_at is null
         and not exists (select 1 from repository_blob l where l.repository_id = repository.id)
         and not exists (select 1 from manifest m where m.repository_id = repository.id)",
    )
    .bind(serde_json::to_string(&ids).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}

/// A deleted repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Its id.
    pub id: RepositoryId,
    /// Its project, which may be deleted as well.
    pub project: ProjectId,
    /// The name that it had.
    pub name: RepositoryName,
}

/// Deleted repositories after `after` that have something to be removed: manifests, or at last their own row. At most
/// `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn deleted(tx: &mut Tx, after: RepositoryId, limit: i64) -> Result<Vec<Deleted>> {
    let rows = tx
        .query(
            "select r.id, r.project_id, r.name from repository r where r.deleted_at is not null and r.id > $1
             and (exists (select 1 from manifest m where m.repository_id = r.id)
                  or not exists (select 1 from repository_blob l where l.repository_id = r.id))
             order by r.id limit $2",
        )
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let readable = rows.iter().filter_map(|row| match read_deleted(row) {
        Ok(deleted) => Some(deleted),
        Err(error) => {
            tracing::error!(%error, "a deleted repository cannot be read and is left as it is");
            None
        }
    });
    Ok(readable.collect())
}

fn read_deleted(row: &Row) -> Result<Deleted> {
    Ok(Deleted {
        id: RepositoryId(row.int("repository", "id")?),
        project: ProjectId(row.int("repository", "project_id")?),
        name: row.parse("repository", "name")?,
    })
}

/// Removes a part of what a deleted repository holds: at most `limit` tags, or manifests that refer to about as much;
/// at last the repository itself, unless the garbage collection has still to remove links of it. Blobs that were named
/// are kept until `lease_until` at least. Whether something is left to be removed.
///
/// # Errors
/// When a statement fails.
pub async fn purge(
    tx: &mut Tx,
    repository: &Deleted,
    lease_until: Timestamp,
    limit: i64,
) -> Result<bool> {
    let tags = tx
        .query(
            "delete from tag where repository_id = $1 and name in
             (select name from tag where repository_id = $1 order by name limit $2)",
        )
        .bind(repository.id)
        .bind(limit)
        .execute()
        .await?;
    if tags > 0 {
        return Ok(true);
    }
    let place = Place {
        project: repository.project,
        repository: repository.id,
        name: &repository.name,
        taking: Taking::Shared,
    };
    if manifest::purge(tx, place, lease_until, limit).await? > 0 {
        return Ok(true);
    }
    tx.query(
        "delete from repository where id = $1 and deleted_at is not null
         and not exists (select 1 from repository_blob l where l.repository_id = $1)",
    )
    .bind(repository.id)
    .execute()
    .await?;
    Ok(false)
}
