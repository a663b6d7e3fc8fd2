//! What robots may do: a row for each permission.

use model::{PrincipalId, ProjectId, RobotId};
use policy::{Action, Permission, Resource, SystemResource};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::sql::{Reader, Row, Tx, json_list};
use crate::touch::Touch;

/// The scope of a permission, as stored.
const SYSTEM: &str = "system";
const EVERYWHERE: &str = "everywhere";
const PROJECT: &str = "project";

/// The permissions of some robots, for each robot in the order in which they were given. Those in deleted projects are
/// left out.
///
/// # Errors
/// When the statement fails.
pub async fn permissions_of(
    reader: &mut Reader,
    robots: &[RobotId],
) -> Result<Vec<(RobotId, Permission)>> {
    permissions_within(reader, robots, i64::MAX).await
}

/// The same, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn permissions_within(
    reader: &mut Reader,
    robots: &[RobotId],
    most: i64,
) -> Result<Vec<(RobotId, Permission)>> {
    let rows = reader
        .query_either(
            "select rp.robot_id, rp.place, rp.project_id, rp.resource, rp.action from robot_permission rp
             left join project p on p.id = rp.project_id
             where rp.robot_id in (select value from json_each($1)) and p.deleted_at is null
             order by rp.robot_id, rp.id limit $2",
            "select rp.robot_id, rp.place, rp.project_id, rp.resource, rp.action from robot_permission rp
             left join project p on p.id = rp.project_id
             where rp.robot_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 and p.deleted_at is null
             order by rp.robot_id, rp.id limit $2",
        )
        .bind(json_list(robots.iter().map(|id| id.0)))
        .bind(most)
        .all()
        .await?;
    let read = |row: &Row| Ok((row.get("robot_permission", "robot_id")?, permission(row)?));
    rows.iter().map(read).collect()
}

fn permission(row: &Row) -> Result<Permission> {
    let corrupt = |column| Error::Corrupt {
        table: "robot_permission",
        column,
    };
    let text = |column| row.get::<String>("robot_permission", column);
    let (place, resource) = (text("place")?, text("resource")?);
    let action = Action::from_name(&text("action")?).ok_or_else(|| corrupt("action"))?;
    let of_project = || Resource::from_name(&resource).ok_or_else(|| corrupt("resource"));
    match place.as_str() {
        SYSTEM => {
            let resource = SystemResource::from_name(&resource);
            let resource = resource.ok_or_else(|| corrupt("resource"))?;
            Ok(Permission::System(resource, action))
        }
        EVERYWHERE => Ok(Permission::Everywhere(of_project()?, action)),
        PROJECT => {
            let project = row.get("robot_permission", "project_id")?;
            Ok(Permission::Project(project, of_project()?, action))
        }
        _ => Err(corrupt("place")),
    }
}

/// A permission to be stored.
#[derive(Serialize)]
struct Stored {
    place: &'static str,
    project: Option<i64>,
    resource: &'static str,
    action: &'static str,
}

impl From<&Permission> for Stored {
    fn from(permission: &Permission) -> Self {
        let (place, project) = match permission {
            Permission::System(..) => (SYSTEM, None),
            Permission::Everywhere(..) => (EVERYWHERE, None),
            Permission::Project(ProjectId(id), ..) => (PROJECT, Some(*id)),
        };
        Self {
            place,
            project,
            resource: permission.resource(),
            action: permission.action().name(),
        }
    }
}

/// Gives a robot these permissions in place of those that it has.
///
/// # Errors
/// When a statement fails.
pub async fn set_permissions(
    tx: &mut Tx,
    (robot, principal): (RobotId, PrincipalId),
    permissions: &[Permission],
) -> Result<()> {
    tx.query("delete from robot_permission where robot_id = $1")
        .bind(robot)
        .execute()
        .await?;
    tx.query_either(
        "insert into robot_permission (robot_id, place, project_id, resource, action)
         select $1, value ->> 'place', value ->> 'project', value ->> 'resource', value ->> 'action'
         from json_each($2) order by key",
        "insert into robot_permission (robot_id, place, project_id, resource, action)
         select $1, value ->> 'place', cast(value ->> 'project' as bigint), value ->> 'resource', value ->> 'action'
         from json_array_elements(cast($2 as json)) with ordinality as given (value, key) order by key",
    )
    .bind(robot)
    .bind(json_list(permissions.iter().map(Stored::from)))
    .execute()
    .await?;
    tx.touch(Touch::Principal(principal));
    Ok(())
}
