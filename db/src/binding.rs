//! What callers are bound to: their rights by themselves, and their roles in a project. A request asks for one principal
//! and one project; only lists ask for more.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Principal, PrincipalId, ProjectId, ProjectName};
use policy::{Authority, Caller, ProjectFacts, Role, Roles, Standing};

use crate::cache::Age;
use crate::database::Db;
use crate::error::Result;
use crate::sql::{Reader, Row, json_list};

/// What a principal is by itself, through the cache; `None` where there is none such (any more), or its generation
/// is not the expected one.
///
/// # Errors
/// When the database cannot be read.
pub async fn authority(
    db: &Db,
    id: PrincipalId,
    generation: Option<i64>,
    age: Age,
) -> Result<Option<Arc<Authority>>> {
    // One of another generation may be older than the token: what is true now decides.
    let cached = db.caches().principals.get_of(&id, age);
    if let Some(authority) = cached.filter(|authority| fits(authority, generation)) {
        return Ok(Some(authority));
    }
    Box::pin(read_authority(db, id, generation)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_authority(
    db: &Db,
    id: PrincipalId,
    generation: Option<i64>,
) -> Result<Option<Arc<Authority>>> {
    let read_at = db.caches().principals.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(
            "select u.id, p.name, u.sysadmin, p.generation from principal p
             join user_account u on u.principal_id = p.id where p.id = $1 and p.deleted_at is null",
        )
        .bind(id)
        .optional()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let authority = Arc::new(Authority {
        principal: Principal::User {
            id,
            user: row.get("user_account", "id")?,
            name: row.get::<String>("principal", "name")?.into(),
        },
        sysadmin: row.get("user_account", "sysadmin")?,
        generation: row.get("principal", "generation")?,
    });
    db.caches().principals.put(read_at, id, authority.clone());
    Ok(fits(&authority, generation).then_some(authority))
}

fn fits(authority: &Authority, generation: Option<i64>) -> bool {
    generation.is_none_or(|generation| generation == authority.generation)
}

/// How a caller stands in the project with a name, through the cache; `None` where there is no such project.
///
/// # Errors
/// When the database cannot be read.
pub async fn standing(
    db: &Db,
    caller: &Caller,
    name: &ProjectName,
    age: Age,
) -> Result<Option<Standing>> {
    let caches = db.caches();
    match caches.projects.get_of(name, age) {
        Some(None) => return Ok(None),
        Some(Some(project)) => {
            let roles = match caller.id() {
                None => Some(Roles::NONE),
                Some(principal) => caches.bindings.get_of(&(principal, project.id), age),
            };
            if let Some(roles) = roles {
                return Ok(Some(Standing { project, roles }));
            }
        }
        None => {}
    }
    Box::pin(read_standing(db, caller.id(), name)).await
}

/// Reads what the caches do not have, and puts it there.
async fn read_standing(
    db: &Db,
    principal: Option<PrincipalId>,
    name: &ProjectName,
) -> Result<Option<Standing>> {
    let caches = db.caches();
    let (read_at, roles_read_at) = (caches.projects.before_read(), caches.bindings.before_read());
    let mut reader = db.reader().await?;
    // A row for each role, and one without where there is none.
    let rows = reader
        .query(
            "select p.id, p.public, p.storage_limit, m.role from project p
             left join member m on m.project_id = p.id and m.principal_id = $2
             where p.name = $1 and p.deleted_at is null",
        )
        .bind(name.as_str())
        .bind(principal)
        .all()
        .await?;
    let project = rows.first().map(|row| facts(row, name)).transpose()?;
    let project = project.map(Arc::new);
    caches.projects.put(read_at, name.clone(), project.clone());
    let Some(project) = project else {
        return Ok(None);
    };
    let roles = rows.iter().map(|row| row.get("member", "role"));
    let roles: Vec<Option<Role>> = roles.collect::<Result<_>>()?;
    let roles: Roles = roles.into_iter().flatten().collect();
    if let Some(principal) = principal {
        caches
            .bindings
            .put(roles_read_at, (principal, project.id), roles);
    }
    Ok(Some(Standing { project, roles }))
}

fn facts(row: &Row, name: &ProjectName) -> Result<ProjectFacts> {
    Ok(ProjectFacts {
        id: row.get("project", "id")?,
        name: name.clone(),
        public: row.get("project", "public")?,
        limited: row.get::<i64>("project", "storage_limit")? >= 0,
    })
}

/// How a caller stands in a project that was read.
///
/// # Errors
/// When the statement fails.
pub async fn standing_in(
    reader: &mut Reader,
    caller: &Caller,
    project: ProjectFacts,
) -> Result<Standing> {
    let roles = match caller.id() {
        None => Roles::NONE,
        Some(principal) => {
            let held = roles_in(reader, principal, &[project.id]).await?;
            held.get(&project.id).copied().unwrap_or_default()
        }
    };
    let project = Arc::new(project);
    Ok(Standing { project, roles })
}

/// A principal's roles in several projects; those in which it has none are left out.
///
/// # Errors
/// When the statement fails.
pub async fn roles_in(
    reader: &mut Reader,
    principal: PrincipalId,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, Roles>> {
    let rows = reader
        .query_either(
            "select project_id, role from member
             where principal_id = $1 and project_id in (select value from json_each($2))",
            "select project_id, role from member where principal_id = $1 and project_id = any
                 (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))",
        )
        .bind(principal)
        .bind(json_list(projects.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut held: HashMap<ProjectId, Roles> = HashMap::new();
    for row in &rows {
        let roles = held.entry(row.get("member", "project_id")?).or_default();
        *roles = roles.with(row.get("member", "role")?);
    }
    Ok(held)
}

/// All projects that a principal has a role in.
///
/// # Errors
/// When the statement fails.
pub async fn projects_of(reader: &mut Reader, principal: PrincipalId) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query("select distinct project_id from member where principal_id = $1")
        .bind(principal)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("member", "project_id"))
        .collect()
}

/// The projects in which a principal has one of some roles.
///
/// # Errors
/// When the statement fails.
pub async fn projects_with(
    reader: &mut Reader,
    principal: PrincipalId,
    roles: Roles,
) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query_either(
            "select distinct project_id from member where principal_id = $1
             and role in (select value from json_each($2)) order by project_id",
            "select distinct project_id from member where principal_id = $1 and role = any
                 (array(select cast(json_array_elements_text(cast($2 as json)) as bigint))) order by project_id",
        )
        .bind(principal)
        .bind(json_list(roles.iter().map(Role::id)))
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("member", "project_id"))
        .collect()
}
