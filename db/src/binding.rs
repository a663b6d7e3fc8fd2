//! Bindings of callers: their own rights, and their roles in a project. A request reads those of one principal and one
//! project; only lists read more.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Principal, PrincipalId, ProjectId, ProjectName, Timestamp};
use policy::{Authority, Caller, OwnRights, ProjectFacts, Role, Roles, Standing};

use crate::cache::Age;
use crate::database::Db;
use crate::error::Result;
use crate::principal::Kind;
use crate::robot;
use crate::sql::{Reader, Row, json_list};

/// A principal's own rights, through the cache; `None` if it does not exist (any more), or its generation is not the
/// expected one.
///
/// # Errors
/// When the database cannot be read.
pub async fn authority(
    db: &Db,
    id: PrincipalId,
    generation: Option<i64>,
    age: Age,
) -> Result<Option<Arc<Authority>>> {
    // An entry with another generation may be older than the token: the database decides.
    let cached = db.caches().principals.get_of(&id, age);
    if let Some(authority) = cached.filter(|authority| fits(authority, generation)) {
        return Ok(Some(authority));
    }
    Box::pin(read_authority(db, id, generation)).await
}

/// Reads what the cache does not have, and adds it.
async fn read_authority(
    db: &Db,
    id: PrincipalId,
    generation: Option<i64>,
) -> Result<Option<Arc<Authority>>> {
    let read_at = db.caches().principals.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(
            "select p.kind, p.name, p.generation, u.id as user_id, u.sysadmin, u.unverified, coalesce(i.admin, 0) as external_admin,
                 r.id as robot_id, r.expires_at, w.project_id as workload_project, w.role as workload_role
             from principal p left join user_account u on u.principal_id = p.id
             left join identity i on i.principal_id = p.id
             left join robot r on r.principal_id = p.id and r.disabled = 0
             left join workload_rule w on w.principal_id = p.id
             where p.id = $1 and p.deleted_at is null and coalesce(i.active, 1) = 1",
        )
        .bind(id)
        .optional()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let authority = match row.get("principal", "kind")? {
        // A user with an unverified address has no rights yet.
        Kind::User if row.get("user_account", "unverified")? => None,
        Kind::User => Some(user_authority(id, &row)?),
        Kind::Robot => robot_authority(&mut reader, id, &row).await?,
        Kind::Workload => Some(workload_authority(id, &row)?),
        Kind::Group => None,
    };
    let Some(authority) = authority.map(Arc::new) else {
        return Ok(None);
    };
    db.caches().principals.put(read_at, id, authority.clone());
    Ok(fits(&authority, generation).then_some(authority))
}

fn user_authority(id: PrincipalId, row: &Row) -> Result<Authority> {
    Ok(Authority {
        principal: Principal::User {
            id,
            user: row.get("user_account", "user_id")?,
            name: row.get::<String>("principal", "name")?.into(),
        },
        sysadmin: row.get("user_account", "sysadmin")?
            || row.get::<bool>("identity", "external_admin")?,
        generation: row.get("principal", "generation")?,
        own: None,
        workload: None,
    })
}

/// `None` for a disabled robot.
async fn robot_authority(
    reader: &mut Reader,
    id: PrincipalId,
    row: &Row,
) -> Result<Option<Authority>> {
    let Some(robot) = row.get("robot", "robot_id")? else {
        return Ok(None);
    };
    let permissions = robot::permissions_of(reader, &[robot]).await?;
    let permissions = permissions.into_iter().map(|(_, permission)| permission);
    let own = OwnRights {
        permissions: permissions.collect(),
        expires_at: row.get("robot", "expires_at")?,
    };
    Ok(Some(Authority {
        principal: Principal::Robot {
            id,
            robot,
            name: row.get::<String>("principal", "name")?.into(),
        },
        sysadmin: false,
        generation: row.get("principal", "generation")?,
        own: Some(own),
        workload: None,
    }))
}

/// The rights that a workload rule gives. The token says which workload it is.
fn workload_authority(id: PrincipalId, row: &Row) -> Result<Authority> {
    let mut own = OwnRights::default();
    let project = row.get("workload_rule", "workload_project")?;
    let role = row.get("workload_rule", "workload_role")?;
    own.permissions.add_role(project, role);
    Ok(Authority {
        principal: Principal::Workload {
            id,
            name: row.get::<String>("principal", "name")?.into(),
        },
        sysadmin: false,
        generation: row.get("principal", "generation")?,
        own: Some(own),
        workload: None,
    })
}

fn fits(authority: &Authority, generation: Option<i64>) -> bool {
    generation.is_none_or(|generation| generation == authority.generation)
}

/// The standing of a caller in the project with a name, through the cache; `None` if there is no such project.
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

/// Reads what the caches do not have, and adds it.
async fn read_standing(
    db: &Db,
    principal: Option<PrincipalId>,
    name: &ProjectName,
) -> Result<Option<Standing>> {
    let caches = db.caches();
    let (read_at, roles_read_at) = (caches.projects.before_read(), caches.bindings.before_read());
    let mut reader = db.reader().await?;
    // A row for each role, its own and those of its groups; one row without a role if there is none.
    let rows = reader
        .query_either(
            "select p.id, p.public, p.storage_limit, m.role from project p
             left join member m on m.project_id = p.id
                 and m.principal_id in (select $2 union all select group_id from group_member where principal_id = $2)
             where p.name = $1 and p.deleted_at is null",
            "select p.id, p.public, p.storage_limit, m.role from project p
             left join member m on m.project_id = p.id
                 and m.principal_id = any (array(select cast($2 as bigint) union all select group_id from group_member where principal_id = $2))
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

/// The standing of a caller in a project that was read already.
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

/// A principal's roles in several projects, its own and those of its groups; projects in which it has none are left out.
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
             where principal_id in (select $1 union all select group_id from group_member where principal_id = $1)
                 and project_id in (select value from json_each($2))",
            "select project_id, role from member
             where principal_id = any (array(select cast($1 as bigint) union all select group_id from group_member where principal_id = $1))
                 and project_id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))",
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

/// All projects that a principal has a role in, by itself or by a group.
///
/// # Errors
/// When the statement fails.
pub async fn projects_of(reader: &mut Reader, principal: PrincipalId) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query(
            "select distinct project_id from member
             where principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1)",
        )
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
            "select distinct project_id from member
             where (principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1))
             and role in (select value from json_each($2)) order by project_id",
            "select distinct project_id from member
             where (principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1))
             and role = any
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

/// Projects that were deleted after a time and in which a principal had one of these roles, by itself or by a group that it
/// is in now.
///
/// # Errors
/// When the statement fails.
pub async fn former_projects_with(
    reader: &mut Reader,
    principal: PrincipalId,
    roles: Roles,
    after: Timestamp,
) -> Result<Vec<ProjectId>> {
    let rows = reader
        .query_either(
            "select distinct project_id from former_member
             where project_id in (select id from project where deleted_at > $3)
             and (principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1))
             and role in (select value from json_each($2)) order by project_id",
            "select distinct project_id from former_member
             where project_id in (select id from project where deleted_at > $3)
             and (principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1))
             and role = any
                 (array(select cast(json_array_elements_text(cast($2 as json)) as bigint))) order by project_id",
        )
        .bind(principal)
        .bind(json_list(roles.iter().map(Role::id)))
        .bind(after)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("former_member", "project_id"))
        .collect()
}

/// Whether a principal has a role in any project, by itself or by a group.
///
/// # Errors
/// When the statement fails.
pub async fn has_role(reader: &mut Reader, principal: PrincipalId, role: Role) -> Result<bool> {
    let row = reader
        .query(
            "select id from member where role = $2
             and (principal_id = $1 or principal_id in (select group_id from group_member where principal_id = $1)) limit 1",
        )
        .bind(principal)
        .bind(role.id())
        .optional()
        .await?;
    Ok(row.is_some())
}

/// A role, and the group that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The role.
    pub role: Role,
    /// The group's name; `None` for a role of the principal's own.
    pub group: Option<String>,
}

/// The roles that a principal has in a project, its own and then those of its groups.
///
/// # Errors
/// When the statement fails.
pub async fn held_in(
    reader: &mut Reader,
    principal: PrincipalId,
    project: ProjectId,
) -> Result<Vec<Held>> {
    let mut held = held_among(reader, principal, &[project]).await?;
    Ok(held.remove(&project).unwrap_or_default())
}

/// As [`held_in`], for several projects; those in which it has none are left out.
///
/// # Errors
/// When the statement fails.
pub async fn held_among(
    reader: &mut Reader,
    principal: PrincipalId,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, Vec<Held>>> {
    macro_rules! select {
        ($among:literal) => {
            concat!(
                "select m.project_id, m.role, case when m.principal_id = $1 then null else p.name end as group_name
                 from member m join principal p on p.id = m.principal_id
                 where m.principal_id in (select cast($1 as bigint) union all select group_id from group_member where principal_id = $1)
                 and m.project_id ",
                $among,
                " order by case when m.principal_id = $1 then 0 else 1 end, p.name"
            )
        };
    }
    let rows = reader
        .query_either(
            select!("in (select value from json_each($2))"),
            select!(
                "= any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))"
            ),
        )
        .bind(principal)
        .bind(json_list(projects.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut found: HashMap<ProjectId, Vec<Held>> = HashMap::new();
    for row in &rows {
        let held = Held {
            role: row.get("member", "role")?,
            group: row.get("principal", "group_name")?,
        };
        let project = row.get("member", "project_id")?;
        found.entry(project).or_default().push(held);
    }
    Ok(found)
}
