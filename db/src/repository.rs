//! Repositories. One that holds blobs only is not shown: it appears with its first manifest.

use model::{ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::broken::Walked;
use crate::content::Place;
use crate::error::{Error, Result};
use crate::list::{self, Conditions, Field, Kind, LONGEST_TEXT, Selection, Source};
use crate::project::{self, Viewer};
use crate::quota::Taking;
use crate::sql::{Reader, Row, Tx, json_list, row};
use crate::tag::version;
use crate::tombstone::{self, Part, Removal, Room};
use crate::touch::Touch;

/// The repository's id, created if absent, in a transaction with its project's lock.
///
/// # Errors
/// [`Error::ProjectGone`] if the name belongs to another project, created after this one was deleted.
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
                "insert into repository (project_id, name, published, artifacts, created_at, updated_at)
                 values ($1, $2, 0, 0, $3, $3)
                 on conflict (name) where deleted_at is null do nothing returning id",
            )
            .bind(project)
            .bind(name.as_str())
            .bind(now)
            .optional()
            .await?;
        if let Some(row) = made {
            return row.get("repository", "id");
        }
    }
    Err(Error::Contended("the repository"))
}

/// How often a repository may be deleted while it is about to be used.
const ATTEMPTS: usize = 5;

async fn id_in(
    reader: &mut Reader,
    project: ProjectId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>> {
    let row = reader
        .query("select id, project_id from repository where name = $1 and deleted_at is null")
        .bind(name.as_str())
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<ProjectId>("repository", "project_id")? != project {
        return Err(Error::ProjectGone);
    }
    row.get("repository", "id").map(Some)
}

/// The id of a project's repository, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn id(
    reader: &mut Reader,
    project: ProjectId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>> {
    let row = reader
        .query(
            "select id from repository where name = $1 and project_id = $2 and deleted_at is null",
        )
        .bind(name.as_str())
        .bind(project)
        .optional()
        .await?;
    row.map(|row| row.get("repository", "id")).transpose()
}

/// As [`id`], if it is shown.
///
/// # Errors
/// When the statement fails.
pub async fn published_in(
    reader: &mut Reader,
    project: ProjectId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>> {
    let row = reader
        .query("select id from repository where name = $1 and project_id = $2 and published = 1 and deleted_at is null")
        .bind(name.as_str())
        .bind(project)
        .optional()
        .await?;
    row.map(|row| row.get("repository", "id")).transpose()
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
    tx.relist(id).is_locked = true;
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
    reader: &mut Reader,
    visible: Visible<'_>,
    last: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let last = last.unwrap_or_default();
    let names = match visible {
        Visible::Everything => {
            reader
                .query(
                    "select r.name from repository r where r.name > $1 and r.deleted_at is null
                 and exists (select 1 from tag t join manifest m on m.id = t.manifest_id
                     where t.repository_id = r.id and m.deleted_at is null limit 1 offset 0)
                 order by r.name limit $2",
                )
                .bind(last)
                .bind(limit)
                .all()
                .await?
        }
        Visible::Projects(ids) if reader.is_postgres() => {
            // Sorted by project first, so that it ends with the project that fills the page. The names in a project are
            // those between its name with a slash and its name with the character after a slash.
            reader.query(
                "select r.name from (
                     select id, name || '/' as prefix, name || '0' as beyond from project where deleted_at is null
                     and (public = 1 or id in (select cast(value as bigint) from json_array_elements_text(cast($2 as json))))
                     and name || '0' > $1
                     order by name || '/') p
                 cross join lateral (
                     select r.name from repository r
                     where r.project_id = p.id and r.deleted_at is null and r.name > greatest($1, p.prefix) and r.name < p.beyond
                     and exists (select 1 from tag t join manifest m on m.id = t.manifest_id
                     where t.repository_id = r.id and m.deleted_at is null limit 1 offset 0) order by r.name limit $3) r
                 order by p.prefix, r.name limit $3",
            )
            .bind(last)
            .bind(json_list(ids.iter().map(|id| id.0)))
            .bind(limit)
            .all()
            .await?
        }
        Visible::Projects(ids) => return catalog_of(reader, ids, last, limit).await,
    };
    names
        .iter()
        .map(|row| row.get("repository", "name"))
        .collect()
}

/// The catalog on SQLite, project by project: a statement costs next to nothing there.
async fn catalog_of(
    reader: &mut Reader,
    ids: &[ProjectId],
    last: &str,
    limit: i64,
) -> Result<Vec<String>> {
    let projects = reader
        .query(
            "select id from project where deleted_at is null and name || '0' > $1
             and (public = 1 or id in (select value from json_each($2))) order by name || '/'",
        )
        .bind(last)
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut names = Vec::new();
    for project in &projects {
        let left = limit - names.len() as i64;
        if left <= 0 {
            break;
        }
        let rows = reader
            .query(
                "select r.name from repository r where r.project_id = $1 and r.deleted_at is null and r.name > $2
                 and exists (select 1 from tag t join manifest m on m.id = t.manifest_id
                     where t.repository_id = r.id and m.deleted_at is null limit 1 offset 0) order by r.name limit $3",
            )
            .bind(project.get::<ProjectId>("project", "id")?)
            .bind(last)
            .bind(left)
            .all()
            .await?;
        for row in &rows {
            names.push(row.get("repository", "name")?);
        }
    }
    Ok(names)
}

row! {
    columns repository_columns;
    /// A repository as it is listed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Repository of repository {
        /// Its id.
        pub id: RepositoryId = r.id,
        /// Its project.
        pub project: ProjectId = r.project_id,
        /// The whole name.
        pub name: RepositoryName = r.name,
        /// When it was made.
        pub created_at: Timestamp = r.created_at,
        /// When it was last pushed into.
        pub updated_at: Timestamp = r.updated_at,
        /// How many artifacts a list of them shows: those with a tag and those that no index lists, but no accessories.
        pub artifacts: i64 = r.artifacts,
    }
    computed {
        /// How often a manifest was pulled.
        pub pulls: i64 = "coalesce(s.pulls, 0)",
        /// Its description, cut if it is long. No character has more than four bytes.
        pub description: String =
            "case when octet_length(r.description) <= :longest then r.description else substr(r.description, 1, cast(:longest / 4 as integer)) end",
    }
}

/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "r.name").unique();

/// When it was made.
pub const CREATED: Field = Field::new("creation_time", Kind::Time, "r.created_at");
/// When it was last pushed into.
pub const UPDATED: Field = Field::new("update_time", Kind::Time, "r.updated_at");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 4] = [
    NAME,
    CREATED,
    Field::new("description", Kind::Text, "r.description").unsorted(),
    UPDATED,
];

const SOURCE: Source = Source {
    name: "repository.list",
    columns: repository_columns!(),
    from: "repository r left join repository_stat s on s.repository_id = r.id",
    id: "r.id",
    order: NAME,
};

/// The repositories that a project shows, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    project: ProjectId,
    selection: &Selection,
) -> Result<(Vec<Repository>, i64)> {
    let shown = Conditions::default()
        .and_value("r.project_id = $", project)
        .and("r.published = 1 and r.deleted_at is null");
    list::list_in(
        reader,
        (&SOURCE, "repository r"),
        shown,
        selection,
        Repository::read,
    )
    .await
}

const EVERYWHERE: Source = Source {
    name: "repository.find",
    columns: repository_columns!(),
    from: "repository r join project p on p.id = r.project_id left join repository_stat s on s.repository_id = r.id",
    id: "r.id",
    order: NAME,
};

/// Without pull counters, by which they are neither filtered nor sorted.
const FOUND: &str = "repository r join project p on p.id = r.project_id";

/// Repositories of all projects that the viewer may see, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn find(
    reader: &mut Reader,
    viewer: Viewer,
    selection: &Selection,
) -> Result<(Vec<Repository>, i64)> {
    let shown = project::visible(viewer).and("r.published = 1 and r.deleted_at is null");
    list::list_in(
        reader,
        (&EVERYWHERE, FOUND),
        shown,
        selection,
        Repository::read,
    )
    .await
}

/// A page of the repositories that the viewer may see, without a count of all.
///
/// # Errors
/// When the statement fails.
pub async fn page(
    reader: &mut Reader,
    viewer: Viewer,
    selection: &Selection,
) -> Result<Vec<Repository>> {
    let shown = project::visible(viewer).and("r.published = 1 and r.deleted_at is null");
    let shown = shown.and_tests(reader.is_postgres(), &selection.tests);
    list::page(
        reader,
        (&EVERYWHERE, FOUND),
        &shown,
        (selection, i64::MAX),
        Repository::read,
    )
    .await
}

/// The repository that a project shows under a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(
    reader: &mut Reader,
    project: ProjectId,
    name: &RepositoryName,
) -> Result<Option<Repository>> {
    let row = reader
        .query_built(
            "repository.by_name",
            list::showing(
                concat!(
                    "select ",
                    repository_columns!(),
                    " from repository r left join repository_stat s on s.repository_id = r.id
                     where r.name = $1 and r.project_id = $2 and r.published = 1 and r.deleted_at is null"
                ),
                LONGEST_TEXT,
            ),
        )
        .bind(name.as_str())
        .bind(project)
        .optional()
        .await?;
    row.as_ref().map(Repository::read).transpose()
}

/// Sets the description of a visible repository. Returns false if there is none.
///
/// # Errors
/// When the statement fails.
pub async fn describe(
    tx: &mut Tx,
    project: ProjectId,
    name: &RepositoryName,
    description: &str,
    now: Timestamp,
) -> Result<bool> {
    let described = tx
        .query(
            "update repository set description = $3, updated_at = $4
             where name = $2 and project_id = $1 and published = 1 and deleted_at is null",
        )
        .bind(project)
        .bind(name.as_str())
        .bind(description)
        .bind(now)
        .execute()
        .await?;
    Ok(described > 0)
}

/// Gives a visible repository a tombstone, in a transaction with its project's exclusive lock: nothing of it can be
/// found any more, and its name is free. Its content is left to [`purge`]. Returns whether there was one.
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

/// Removes those of the repositories that were never visible and are empty. A transaction that is about to use one
/// meanwhile is retried, and creates it again.
///
/// # Errors
/// When a statement fails.
pub async fn remove_unused(tx: &mut Tx, repositories: &[RepositoryId]) -> Result<()> {
    let mut ids: Vec<i64> = repositories.iter().map(|id| id.0).collect();
    if tx.is_postgres() {
        // Repositories in use are skipped.
        let held = tx
            .query(
                "select id from repository
                 where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 and published = 0 and deleted_at is null order by id for update skip locked",
            )
            .bind(serde_json::to_string(&ids).unwrap_or_default())
            .all()
            .await?;
        let held = held.iter().map(|row| row.get("repository", "id"));
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

row! {
    columns deleted_columns;
    /// A deleted repository.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Deleted of repository {
        /// Its id.
        pub id: RepositoryId = r.id,
        /// Its project, which may be deleted as well.
        pub project: ProjectId = r.project_id,
        /// The name that it had.
        pub name: RepositoryName = r.name,
    }
}

/// Deleted repositories after `after` with something left to remove: manifests, or finally their own row. At most
/// `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn deleted(
    reader: &mut Reader,
    after: RepositoryId,
    limit: i64,
) -> Result<Walked<Deleted, RepositoryId>> {
    let rows = reader
        .query(concat!(
            "select ",
            deleted_columns!(),
            " from repository r where r.deleted_at is not null and r.id > $1
             and (exists (select 1 from manifest m where m.repository_id = r.id)
                  or not exists (select 1 from repository_blob l where l.repository_id = r.id))
             order by r.id limit $2"
        ))
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let id = |row: &Row| row.get("repository", "id");
    Walked::read(&rows, id, Deleted::read)
}

/// Removes a part of the content of a deleted repository: at most `limit` tags, or manifests with about as many
/// references; finally the repository itself, unless garbage collection still has to remove links of it. Blobs that
/// were named are kept at least until `lease_until`.
///
/// # Errors
/// When a statement fails.
pub async fn purge(
    tx: &mut Tx,
    repository: &Deleted,
    lease_until: Timestamp,
    limit: i64,
) -> Result<Part> {
    let tags = tx
        .query(
            "delete from tag where repository_id = $1 and name in
                 (select name from tag where repository_id = $1 order by name limit $2)
             returning name, coalesce(version_at, pushed_at) as version,
                 (select r.deleted_at from repository r where r.id = $1) as deleted_at",
        )
        .bind(repository.id)
        .bind(limit)
        .all()
        .await?;
    if !tags.is_empty() {
        version::note_deletions(tx, &repository.name, &tags).await?;
        return Ok(Part::of(tags.len() as i64));
    }
    let history = tx
        .query(
            "delete from tag_history where repository_id = $1 and id in
                 (select id from tag_history where repository_id = $1 order by name, id limit $2)",
        )
        .bind(repository.id)
        .bind(limit)
        .execute()
        .await?;
    if history > 0 {
        return Ok(Part::of(history as i64));
    }
    let place = Place {
        project: repository.project,
        repository: repository.id,
        name: &repository.name,
        taking: Taking::Shared,
    };
    let manifests = hold_manifests(tx, repository.id, limit).await?;
    if !manifests.is_empty() {
        let mut room = Room::of(limit);
        tombstone::remove(tx, place, &manifests, lease_until, &mut room).await?;
        return Ok(Part::of(manifests.len() as i64));
    }
    tx.query(
        "delete from repository where id = $1 and deleted_at is not null
         and not exists (select 1 from repository_blob l where l.repository_id = $1)
         and not exists (select 1 from manifest m where m.repository_id = $1)",
    )
    .bind(repository.id)
    .execute()
    .await?;
    Ok(Part::NOTHING)
}

/// Manifests of a deleted repository that no other transaction has locked.
async fn hold_manifests(tx: &mut Tx, repository: RepositoryId, limit: i64) -> Result<Vec<Removal>> {
    let rows = tx
        .query_either(
            "select id, size from manifest where repository_id = $1 order by id limit $2",
            "select id, size from manifest where repository_id = $1 order by id limit $2 for update skip locked",
        )
        .bind(repository)
        .bind(limit)
        .all()
        .await?;
    let removal = |row: &Row| {
        Ok(Removal {
            id: row.get("manifest", "id")?,
            size: row.get("manifest", "size")?,
        })
    };
    rows.iter().map(removal).collect()
}
