//! Projects and their settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{AccountId, ProjectId, ProjectName, Timestamp};
use policy::{ProjectFacts, Role};

use crate::cache::Touch;
use crate::page::{Page, bind_names, contains, list_of, one_of, places};
use crate::sql::{Query, Row};
use crate::{Age, Db, Result, Tx, member, quota, upload};

/// A project as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Who made it.
    pub owner: AccountId,
    /// The maker's name.
    pub owner_name: String,
    /// Whether everyone may pull from it.
    pub public: bool,
    /// Most bytes that it may hold; -1 for no limit.
    pub storage_limit: i64,
    /// How many repositories it shows.
    pub repositories: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// What decisions need of it.
    pub fn facts(&self) -> ProjectFacts {
        ProjectFacts {
            id: self.id,
            name: self.name.clone(),
            public: self.public,
            limited: self.storage_limit >= 0,
        }
    }
}

macro_rules! columns {
    () => {
        "p.id, p.name, p.owner_id, a.name as owner_name, p.public, p.storage_limit, p.created_at, p.updated_at"
    };
}

macro_rules! repositories {
    () => {
        "(select count(*) from repository r where r.project_id = p.id and r.published = 1 and r.deleted_at is null) as repositories"
    };
}

macro_rules! from {
    () => {
        " from project p join account a on a.id = p.owner_id where p.deleted_at is null "
    };
}

macro_rules! select {
    () => {
        concat!("select ", columns!(), ", ", repositories!(), from!())
    };
}

fn read(row: &Row) -> Result<Project> {
    Ok(Project {
        id: ProjectId(row.int("project", "id")?),
        name: row.parse("project", "name")?,
        owner: AccountId(row.int("project", "owner_id")?),
        owner_name: row.text("project", "owner_name")?,
        public: row.flag("project", "public")?,
        storage_limit: row.int("project", "storage_limit")?,
        repositories: row.int("project", "repositories")?,
        created_at: row.time("project", "created_at")?,
        updated_at: row.time("project", "updated_at")?,
    })
}

/// Makes a project; its owner becomes its first project admin.
///
/// # Errors
/// [`crate::Error::Duplicate`] where the name is taken.
pub async fn create(
    tx: &mut Tx,
    name: &ProjectName,
    owner: AccountId,
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
    let id = ProjectId(row.int("project", "id")?);
    quota::create(tx, id, storage_limit).await?;
    member::add(tx, id, owner, Role::ProjectAdmin, now).await?;
    tx.touch(Touch::Project(name.clone()));
    Ok(id)
}

/// What decisions need of the project with a name, through the cache.
///
/// # Errors
/// When the database cannot be read.
pub async fn facts(db: &Db, name: &ProjectName, age: Age) -> Result<Option<Arc<ProjectFacts>>> {
    if let Some(facts) = db.caches().projects.get_of(name, age) {
        return Ok(facts);
    }
    Box::pin(read_through(db, name)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_through(db: &Db, name: &ProjectName) -> Result<Option<Arc<ProjectFacts>>> {
    let read_at = db.caches().projects.before_read();
    let mut tx = db.reader().await?;
    let row = tx
        .query(
            "select id, public, storage_limit from project where name = $1 and deleted_at is null",
        )
        .bind(name.as_str())
        .optional()
        .await?;
    let facts = match row {
        None => None,
        Some(row) => Some(Arc::new(ProjectFacts {
            id: ProjectId(row.int("project", "id")?),
            name: name.clone(),
            public: row.flag("project", "public")?,
            limited: row.int("project", "storage_limit")? >= 0,
        })),
    };
    db.caches()
        .projects
        .put(read_at, name.clone(), facts.clone());
    Ok(facts)
}

/// The project with an id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let row = tx
        .query(concat!(select!(), "and p.id = $1"))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// The project with a name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(tx: &mut Tx, name: &ProjectName) -> Result<Option<Project>> {
    let row = tx
        .query(concat!(select!(), "and p.name = $1"))
        .bind(name.as_str())
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// Which projects a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The project with this id.
    pub id: Option<ProjectId>,
    /// Only those that this account may see (its own and public ones); `None` for all.
    pub visible_to: Option<Viewer>,
    /// Part of the name, in any case.
    pub name_contains: Option<String>,
    /// The exact name.
    pub name: Option<String>,
    /// The owner's exact name.
    pub owner: Option<String>,
    /// Only public, or only private ones.
    pub public: Option<bool>,
    /// Any of these exact names, where there are some.
    pub names: Vec<String>,
    /// The owner.
    pub owner_id: Option<AccountId>,
    /// Made not before the first and not after the second time.
    pub created_within: Option<(Timestamp, Timestamp)>,
    /// Last changed not before the first and not after the second time.
    pub updated_within: Option<(Timestamp, Timestamp)>,
}

/// Who looks at a list of projects.
#[derive(Clone, Copy, Debug)]
pub enum Viewer {
    /// Nobody who is signed in: public projects only.
    Anonymous,
    /// An account: those it is a member of, and public ones.
    Account(AccountId),
}

/// In which order projects are listed.
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
    /// By id.
    Id,
    /// By id, highest first.
    IdDescending,
}

/// Projects, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    order: Order,
    page: Page,
) -> Result<(Vec<Project>, i64)> {
    let and = conditions(tx, filter);
    let limit = BOUND + places(&filter.names) + 1;
    let offset = limit + 1;
    let by = match order {
        Order::Name => "p.name",
        Order::NameDescending => "p.name desc",
        Order::Created => "p.created_at, p.id",
        Order::CreatedDescending => "p.created_at desc, p.id desc",
        Order::Updated => "p.updated_at, p.id",
        Order::UpdatedDescending => "p.updated_at desc, p.id desc",
        Order::Id => "p.id",
        Order::IdDescending => "p.id desc",
    };
    let listed = tx.query_built(
        "project.list",
        // Repositories are counted for the page alone.
        format!(
            "select p.*, {} from (select {}{}{and} order by {by} limit ${limit} offset ${offset}) p order by {by}",
            repositories!(),
            columns!(),
            from!()
        ),
    );
    let listed = bind(listed, filter).bind(page.limit()).bind(page.offset);
    let rows = listed.all().await?;
    let counted = tx.query_built(
        "project.count",
        format!(
            "select count(*) as total from project p join account a on a.id = p.owner_id
             where p.deleted_at is null {and}"
        ),
    );
    let count = bind(counted, filter).one().await?;
    Ok((
        rows.iter().map(read).collect::<Result<_>>()?,
        count.int("project", "total")?,
    ))
}

/// How many values [`bind`] gives apart from the names.
const BOUND: usize = 11;

/// What a filter asks of the values that [`bind`] gives.
fn conditions(tx: &Tx, filter: &Filter) -> String {
    const AND: &str = "and ($1 < 0 or p.public = 1 or exists
            (select 1 from member m where m.project_id = p.id and m.account_id = $1))
        and ($2 is null or lower(p.name) like lower($2) escape '\\')
        and ($3 is null or p.name = $3)
        and ($4 is null or a.name = $4)
        and ($5 < 0 or p.public = $5)
        and ($6 < 0 or p.owner_id = $6)
        and p.created_at between $7 and $8
        and p.updated_at between $9 and $10
        and ($11 < 0 or p.id = $11)";
    one_of(tx, AND, ("p.name", &filter.names), BOUND + 1)
}

fn bind<'t>(query: Query<'t>, filter: &Filter) -> Query<'t> {
    let always = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    let created = filter.created_within.unwrap_or(always);
    let updated = filter.updated_within.unwrap_or(always);
    let viewer = match filter.visible_to {
        None => -1,
        Some(Viewer::Anonymous) => 0,
        Some(Viewer::Account(id)) => id.0,
    };
    let query = query
        .bind(viewer)
        .bind(filter.name_contains.as_deref().map(contains))
        .bind(filter.name.as_deref())
        .bind(filter.owner.as_deref())
        .bind(filter.public.map_or(-1, i64::from))
        .bind(filter.owner_id.map_or(-1, |id| id.0))
        .bind(created.0)
        .bind(created.1)
        .bind(updated.0)
        .bind(updated.1)
        .bind(filter.id.map_or(-1, |id| id.0));
    bind_names(query, &filter.names)
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

/// Settings other than `public`, by Harbor's names.
///
/// # Errors
/// When the statement fails.
pub async fn metadata(tx: &mut Tx, id: ProjectId) -> Result<BTreeMap<String, String>> {
    let rows = tx
        .query("select name, value from project_metadata where project_id = $1 order by name")
        .bind(id)
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.text("project_metadata", "name")?,
                row.text("project_metadata", "value")?,
            ))
        })
        .collect()
}

/// Those of several projects.
///
/// # Errors
/// When the statement fails.
pub async fn metadata_of(
    tx: &mut Tx,
    ids: &[ProjectId],
) -> Result<HashMap<ProjectId, BTreeMap<String, String>>> {
    let rows = tx
        .query_either(
            "select project_id, name, value from project_metadata
             where project_id in (select value from json_each($1))",
            "select project_id, name, value from project_metadata
             where project_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(list_of(ids))
        .all()
        .await?;
    let mut found: HashMap<ProjectId, BTreeMap<String, String>> = HashMap::new();
    for row in rows {
        found
            .entry(ProjectId(row.int("project_metadata", "project_id")?))
            .or_default()
            .insert(
                row.text("project_metadata", "name")?,
                row.text("project_metadata", "value")?,
            );
    }
    Ok(found)
}

/// All projects, by name.
///
/// # Errors
/// When the statement fails.
pub async fn all(tx: &mut Tx) -> Result<Vec<Project>> {
    let rows = tx
        .query(concat!(select!(), "order by p.name"))
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// Bytes of the blobs and manifests that a project holds, each blob counted once: what [`quota::used`] is
/// without reservations, counted anew.
///
/// # Errors
/// When the statement fails.
pub async fn stored_bytes(tx: &mut Tx, id: ProjectId) -> Result<i64> {
    let row = tx
        .query(
            "select cast(coalesce((select sum(size) from (
                select distinct b.id, b.size from repository r
                join repository_blob rb on rb.repository_id = r.id
                join blob b on b.id = rb.blob_id
                where r.project_id = $1) held), 0)
             + coalesce((select sum(length(m.payload)) from repository r
                join manifest m on m.repository_id = r.id where r.project_id = $1), 0)
             as bigint) as total",
        )
        .bind(id)
        .one()
        .await?;
    row.int("blob", "total")
}

/// Sets one of those.
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

/// Whether a project is there.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn is_living(tx: &mut Tx, id: ProjectId) -> Result<bool> {
    let row = tx
        .query("select id from project where id = $1 and deleted_at is null")
        .bind(id)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Deletes a project that holds no artifacts, in a transaction that holds it alone: its name becomes free, its
/// members go, its uploads end. What its repositories link is left to the garbage collection. `false` where
/// there are artifacts.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, project: &ProjectFacts, now: Timestamp) -> Result<bool> {
    if holds_artifacts(tx, project.id).await? {
        return Ok(false);
    }
    let members = tx
        .query("delete from member where project_id = $1 returning account_id")
        .bind(project.id)
        .all()
        .await?;
    for member in &members {
        tx.touch(Touch::Account(AccountId(
            member.int("member", "account_id")?,
        )));
    }
    upload::end_all(tx, project.id, now).await?;
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

/// Whether a repository of the project has a manifest: repositories without are no obstacle to its deletion.
///
/// # Errors
/// When the statement fails.
pub async fn holds_artifacts(tx: &mut Tx, id: ProjectId) -> Result<bool> {
    let row = tx
        .query(
            "select m.id from repository r join manifest m on m.repository_id = r.id
             where r.project_id = $1 and r.deleted_at is null limit 1",
        )
        .bind(id)
        .optional()
        .await?;
    Ok(row.is_some())
}
