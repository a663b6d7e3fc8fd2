//! Projects and their settings.

pub mod deleted;

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{PrincipalId, ProjectId, ProjectName, Timestamp, UserId};
use policy::ProjectFacts;

use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Lean, Selection, Source};
use crate::sql::{Reader, Tx, Value, json_list, row};
use crate::touch::Touch;
use crate::{member, quota, retention, robot, upload, webhook, workload_rule};

row! {
    columns project_columns;
    /// A project as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Project of project {
        /// Its id.
        pub id: ProjectId = p.id,
        /// Its name.
        pub name: ProjectName = p.name,
        /// Who made it.
        pub owner: UserId = p.owner_id,
        /// Whether everyone may pull from it.
        pub public: bool = p.public,
        /// Maximum bytes that it may hold; -1 for no limit.
        pub storage_limit: i64 = p.storage_limit,
        /// When it was made.
        pub created_at: Timestamp = p.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = p.updated_at,
    }
    computed {
        /// The maker's name.
        pub owner_name: String = "o.name",
        /// How many repositories it shows.
        pub repositories: i64 = "(select count(*) from repository r where r.project_id = p.id and r.published = 1 and r.deleted_at is null)",
    }
}

impl Project {
    /// What decisions need to know about it.
    pub fn facts(&self) -> ProjectFacts {
        ProjectFacts {
            id: self.id,
            name: self.name.clone(),
            public: self.public,
            limited: self.storage_limit >= 0,
        }
    }
}

const FROM: &str =
    "project p join user_account u on u.id = p.owner_id join principal o on o.id = u.principal_id";

macro_rules! select {
    () => {
        concat!(
            "select ",
            project_columns!(),
            " from project p join user_account u on u.id = p.owner_id join principal o on o.id = u.principal_id where p.deleted_at is null "
        )
    };
}

/// Makes a project; its owner becomes its first project admin.
///
/// # Errors
/// [`crate::Error::Duplicate`] if the name is taken.
pub async fn create(
    tx: &mut Tx,
    name: &ProjectName,
    owner: UserId,
    public: bool,
    storage_limit: i64,
    now: Timestamp,
) -> Result<ProjectId> {
    let row = tx
        .query(
            "insert into project (name, owner_id, public, storage_limit, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5) returning id",
        )
        .bind(name.as_str())
        .bind(owner)
        .bind(public)
        .bind(storage_limit)
        .bind(now)
        .one()
        .await?;
    let id = row.get("project", "id")?;
    quota::create(tx, id, storage_limit).await?;
    member::add_owner(tx, id, owner, now).await?;
    tx.touch(Touch::Project(name.clone()));
    Ok(id)
}

/// The project with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(reader: &mut Reader, id: ProjectId) -> Result<Option<Project>> {
    let row = reader
        .query(concat!(select!(), "and p.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Project::read).transpose()
}

/// The project with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(reader: &mut Reader, name: &ProjectName) -> Result<Option<Project>> {
    let row = reader
        .query(concat!(select!(), "and p.name = $1"))
        .bind(name.as_str())
        .optional()
        .await?;
    row.as_ref().map(Project::read).transpose()
}

/// Name.
pub const NAME: Field = Field::new("name", Kind::Text, "p.name").unique();
/// Whether everyone may pull from it.
pub const PUBLIC: Field = Field::new("public", Kind::Flag, "p.public").unsorted();
/// Id.
pub const ID: Field = Field::new("project_id", Kind::Int, "p.id").unique();
/// The owner's name.
pub const OWNER_NAME: Field = Field::new("owner_name", Kind::Text, "o.name").unsorted();

/// When it was made.
pub const CREATED: Field = Field::new("creation_time", Kind::Time, "p.created_at");
/// When it was last changed.
pub const UPDATED: Field = Field::new("update_time", Kind::Time, "p.updated_at");

/// Fields by which lists can be filtered and sorted.
pub const FIELDS: [Field; 7] = [
    NAME,
    PUBLIC,
    ID,
    OWNER_NAME,
    Field::new("owner_id", Kind::Int, "p.owner_id").unsorted(),
    CREATED,
    UPDATED,
];

const SOURCE: Source = Source {
    name: "project.list",
    columns: project_columns!(),
    from: FROM,
    id: "p.id",
    order: NAME,
};

/// Only the owner's name is in another table.
const LEAN: Lean = Lean {
    from: "project p",
    without: &["o."],
};

/// Who reads a list of projects.
#[derive(Clone, Debug)]
pub enum Viewer {
    /// Someone who may see all.
    Administrator,
    /// A caller who is not signed in: public projects only.
    Anonymous,
    /// A signed-in caller: projects that it is a member of, by itself or by a group, and public ones.
    Principal(PrincipalId),
    /// Only projects that the caller is a member of, by itself or by a group.
    Member(PrincipalId),
    /// A robot: projects in which it may do something, and public ones.
    Robot(Vec<ProjectId>),
    /// Only these projects.
    Only(Vec<ProjectId>),
}

/// Projects that the viewer may see, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    viewer: Viewer,
    selection: &Selection,
) -> Result<(Vec<Project>, i64)> {
    let from = LEAN.of(&SOURCE, selection);
    let conditions = visible(viewer);
    list::list_in(
        reader,
        (&SOURCE, from),
        conditions,
        selection,
        Project::read,
    )
    .await
}

/// A page of the projects that the viewer may see, without a count of all.
///
/// # Errors
/// When the statement fails.
pub async fn page(
    reader: &mut Reader,
    viewer: Viewer,
    selection: &Selection,
) -> Result<Vec<Project>> {
    let conditions = visible(viewer).and_tests(reader.is_postgres(), &selection.tests);
    let from = LEAN.of(&SOURCE, selection);
    list::page(
        reader,
        (&SOURCE, from),
        &conditions,
        (selection, i64::MAX),
        Project::read,
    )
    .await
}

macro_rules! is_member {
    () => {
        // Looked up once, not for each project.
        "p.id in (select m.project_id from member m where m.principal_id in
             (select cast($ as bigint) union all select group_id from group_member where principal_id = $))"
    };
}

/// The condition that a project `p` exists and the viewer may see it.
pub(crate) fn visible(viewer: Viewer) -> Conditions {
    let living = Conditions::default().and("p.deleted_at is null");
    match viewer {
        Viewer::Administrator => living,
        Viewer::Anonymous => living.and("p.public = 1"),
        Viewer::Principal(id) => {
            living.and_value(concat!("(p.public = 1 or ", is_member!(), ")"), id)
        }
        Viewer::Member(id) => living.and_value(is_member!(), id),
        Viewer::Only(projects) => {
            let ids: Vec<i64> = projects.iter().map(|id| id.0).collect();
            living.and_any("p.id", &ids)
        }
        Viewer::Robot(projects) if projects.is_empty() => living.and("p.public = 1"),
        Viewer::Robot(projects) => {
            let places = vec!["$"; projects.len()].join(", ");
            let ids = projects.into_iter().map(Value::from);
            living.and_values(&format!("(p.public = 1 or p.id in ({places}))"), ids)
        }
    }
}

/// Numbers of projects and of repositories in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Projects.
    pub projects: i64,
    /// Repositories that they show.
    pub repositories: i64,
}

/// Counts for public and for private projects: the projects that one viewer may see, and the repositories that another
/// may see.
///
/// # Errors
/// When a statement fails.
pub async fn counts(
    reader: &mut Reader,
    projects: Viewer,
    repositories: Viewer,
) -> Result<(Count, Count)> {
    let projects = counted(reader, projects, ("project.counts", "project p")).await?;
    let shown = "project p join repository r
                     on r.project_id = p.id and r.published = 1 and r.deleted_at is null";
    let repositories = counted(reader, repositories, ("repository.counts", shown)).await?;
    let count = |public: usize| Count {
        projects: projects[public],
        repositories: repositories[public],
    };
    Ok((count(1), count(0)))
}

/// How many rows the viewer may see in private projects, and in public ones.
async fn counted(
    reader: &mut Reader,
    viewer: Viewer,
    (name, from): (&'static str, &str),
) -> Result<[i64; 2]> {
    let visible = visible(viewer);
    let statement = format!(
        "select p.public, count(*) as counted from {from} {} group by p.public",
        visible.clause()
    );
    let query = visible.bind(reader.query_built(name, statement));
    let mut counts = [0, 0];
    for row in query.all().await? {
        let public: bool = row.get("project", "public")?;
        counts[usize::from(public)] = row.get("project", "counted")?;
    }
    Ok(counts)
}

/// Which of some projects are public.
///
/// # Errors
/// When the statement fails.
pub async fn public_among(reader: &mut Reader, ids: &[ProjectId]) -> Result<HashSet<ProjectId>> {
    let rows = reader
        .query_either(
            "select id from project where public = 1 and id in (select value from json_each($1))",
            "select id from project where public = 1
             and id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter().map(|row| row.get("project", "id")).collect()
}

/// The ids of the projects with some names; missing ones are left out.
///
/// # Errors
/// When the statement fails.
pub async fn ids_of(
    reader: &mut Reader,
    names: &[ProjectName],
) -> Result<HashMap<ProjectName, ProjectId>> {
    let rows = reader
        .query_either(
            "select id, name from project where deleted_at is null and name in (select value from json_each($1))",
            "select id, name from project where deleted_at is null
             and name = any (array(select json_array_elements_text(cast($1 as json))))",
        )
        .bind(json_list(names.iter().map(ProjectName::as_str)))
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("project", "name")?, row.get("project", "id")?)))
        .collect()
}

/// The names of some projects; missing ones are left out.
///
/// # Errors
/// When the statement fails.
pub async fn names_of(
    reader: &mut Reader,
    ids: &[ProjectId],
) -> Result<HashMap<ProjectId, ProjectName>> {
    let rows = reader
        .query_either(
            "select id, name from project where deleted_at is null and id in (select value from json_each($1))",
            "select id, name from project where deleted_at is null
             and id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("project", "id")?, row.get("project", "name")?)))
        .collect()
}

/// Opens a project to everyone, or closes it.
///
/// # Errors
/// When the statement fails.
pub async fn set_public(
    tx: &mut Tx,
    project: &ProjectFacts,
    public: bool,
    now: Timestamp,
) -> Result<()> {
    tx.query("update project set public = $2, updated_at = $3 where id = $1")
        .bind(project.id)
        .bind(public)
        .bind(now)
        .execute()
        .await?;
    tx.touch(Touch::Project(project.name.clone()));
    Ok(())
}

/// Names another owner.
///
/// # Errors
/// When the statement fails.
pub async fn set_owner(
    tx: &mut Tx,
    project: ProjectId,
    owner: UserId,
    now: Timestamp,
) -> Result<()> {
    tx.query("update project set owner_id = $2, updated_at = $3 where id = $1")
        .bind(project)
        .bind(owner)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Settings other than `public`, by Harbor's names.
///
/// # Errors
/// When the statement fails.
pub async fn metadata(reader: &mut Reader, id: ProjectId) -> Result<BTreeMap<String, String>> {
    let rows = reader
        .query("select name, value from project_metadata where project_id = $1 order by name")
        .bind(id)
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.get("project_metadata", "name")?,
                row.get("project_metadata", "value")?,
            ))
        })
        .collect()
}

/// The settings of several projects.
///
/// # Errors
/// When the statement fails.
pub async fn metadata_of(
    reader: &mut Reader,
    ids: &[ProjectId],
) -> Result<HashMap<ProjectId, BTreeMap<String, String>>> {
    let rows = reader
        .query_either(
            "select project_id, name, value from project_metadata
             where project_id in (select value from json_each($1))",
            "select project_id, name, value from project_metadata
             where project_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut found: HashMap<ProjectId, BTreeMap<String, String>> = HashMap::new();
    for row in rows {
        found
            .entry(row.get("project_metadata", "project_id")?)
            .or_default()
            .insert(
                row.get("project_metadata", "name")?,
                row.get("project_metadata", "value")?,
            );
    }
    Ok(found)
}

/// All projects, by name.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<Project>> {
    let rows = reader
        .query(concat!(select!(), "order by p.name"))
        .all()
        .await?;
    rows.iter().map(Project::read).collect()
}

/// Bytes of the blobs and manifests that a project holds, each blob counted once: [`quota::used`] without reservations,
/// recounted.
///
/// # Errors
/// When the statement fails.
pub async fn stored_bytes(reader: &mut Reader, id: ProjectId) -> Result<i64> {
    let row = reader
        .query(
            "select cast(coalesce((select sum(size) from (
                select distinct b.id, b.size from repository r
                join repository_blob rb on rb.repository_id = r.id
                join blob b on b.id = rb.blob_id
                where r.project_id = $1) held), 0)
             + coalesce((select sum(m.size) from repository r
                join manifest m on m.repository_id = r.id where r.project_id = $1 and m.deleted_at is null), 0)
             as bigint) as total",
        )
        .bind(id)
        .one()
        .await?;
    row.get("blob", "total")
}

/// Sets one of the settings.
///
/// # Errors
/// When the statement fails.
pub async fn set_metadata(tx: &mut Tx, id: ProjectId, name: &str, value: &str) -> Result<()> {
    tx.query(
        "insert into project_metadata (project_id, name, value) values ($1, $2, $3)
         on conflict (project_id, name) do update set value = excluded.value",
    )
    .bind(id)
    .bind(name)
    .bind(value)
    .execute()
    .await?;
    Ok(())
}

/// Removes one of the settings; a missing one is not an error.
///
/// # Errors
/// When the statement fails.
pub async fn remove_metadata(tx: &mut Tx, id: ProjectId, name: &str) -> Result<()> {
    tx.query("delete from project_metadata where project_id = $1 and name = $2")
        .bind(id)
        .bind(name)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a project without artifacts, in a transaction with its exclusive lock: its name becomes free, its members,
/// robots, retention policy, webhooks and workload rules are deleted, its uploads end ([`deleted::restore`] brings back members
/// alone). Links of its repositories are left to the garbage
/// collection. Returns false if there are artifacts.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, project: &ProjectFacts, now: Timestamp) -> Result<bool> {
    if holds_artifacts(tx, project.id).await? {
        return Ok(false);
    }
    member::end_all(tx, project.id).await?;
    upload::end_all(tx, project.id, now).await?;
    robot::delete_of_project(tx, project.id, now).await?;
    workload_rule::delete_of_project(tx, project.id, now).await?;
    retention::delete_of_project(tx, project.id, now).await?;
    webhook::policy::delete_of_project(tx, project.id, now).await?;
    for statement in [
        "update repository set deleted_at = $2, updated_at = $2 where project_id = $1 and deleted_at is null",
        "update project set deleted_at = $2, updated_at = $2 where id = $1",
    ] {
        tx.query(statement)
            .bind(project.id)
            .bind(now)
            .execute()
            .await?;
    }
    tx.touch(Touch::Everything);
    Ok(true)
}

/// Whether a repository of the project has a manifest: empty repositories do not prevent its deletion.
///
/// # Errors
/// When the statement fails.
pub async fn holds_artifacts(reader: &mut Reader, id: ProjectId) -> Result<bool> {
    let row = reader
        .query(
            "select m.id from repository r join manifest m on m.repository_id = r.id
             where r.project_id = $1 and r.deleted_at is null and m.deleted_at is null limit 1",
        )
        .bind(id)
        .optional()
        .await?;
    Ok(row.is_some())
}
