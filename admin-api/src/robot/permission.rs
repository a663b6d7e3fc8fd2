//! Permissions of robots as Harbor writes them: a list of actions for each place, which is the system, all projects (`*`),
//! or a project by its name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use db::{Reader, project, robot};
use model::{ProjectId, ProjectName, RobotId};
use policy::{Action, Permission, PermissionList, Resource, RobotPermit, SystemResource, to};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::robot::{PROJECT, SYSTEM};

/// The namespaces of the system and of all projects.
const THE_SYSTEM: &str = "/";
const ALL_PROJECTS: &str = "*";

/// What a robot may do in one place.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct RobotPermission {
    access: Option<Vec<Access>>,
    /// `system` or `project`.
    kind: Option<String>,
    /// `/` for the system, a project's name, or `*` for all projects.
    namespace: Option<String>,
}

impl RobotPermission {
    /// Memory that it needs until it is sent, in bytes.
    pub(super) fn size(&self) -> usize {
        self.access.as_ref().map_or(0, Vec::len) * SIZE
    }
}

/// An action on a resource.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Access {
    #[schema(value_type = Option<String>)]
    action: Option<Cow<'static, str>>,
    /// `allow`, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    effect: Option<Cow<'static, str>>,
    #[schema(value_type = Option<String>)]
    resource: Option<Cow<'static, str>>,
}

/// Where a permission applies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    System,
    Everywhere,
    Project(ProjectName),
}

/// An action on a resource in a place, before the project is looked up.
type Asked = (Place, Access);

/// The requested permissions of a body.
pub(crate) struct AskedPermissions(Vec<Asked>);

impl AskedPermissions {
    /// Reads the requested permissions.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for permissions that robots cannot have.
    pub(crate) fn parse(given: Option<Vec<RobotPermission>>) -> Result<Self, Error> {
        let mut asked = Vec::new();
        for RobotPermission {
            access,
            kind,
            namespace,
        } in given.unwrap_or_default()
        {
            let (kind, namespace) = (kind.unwrap_or_default(), namespace.unwrap_or_default());
            let place = place(&kind, &namespace)?;
            let access = access.unwrap_or_default();
            if access.is_empty() {
                return Err(Error::BadRequest("bad request empty access".to_owned()));
            }
            asked.extend(access.into_iter().map(|access| (place.clone(), access)));
        }
        Ok(Self(asked))
    }

    /// The one project that a robot of a project is for.
    ///
    /// # Errors
    /// [`Error::BadRequest`] unless it is exactly one.
    pub(crate) fn only_project(&self) -> Result<ProjectName, Error> {
        let mut places = self.0.iter().map(|(place, _)| place);
        match places.next() {
            None => Err(Error::BadRequest(
                policy::InvalidPermissions::Empty.to_string(),
            )),
            Some(Place::Project(name)) if places.all(|place| *place == Place::Project(name.clone())) => {
                Ok(name.clone())
            }
            Some(_) => Err(Error::BadRequest(
                "bad request permission: a robot of a project has one entry, of kind project, with the project's name"
                    .to_owned(),
            )),
        }
    }

    /// The permissions, with the ids of their projects.
    ///
    /// # Errors
    /// For permissions that robots cannot have, and for a missing project: only system administrators learn that it
    /// does not exist; others get the answer for a project in which they may give nothing.
    pub(crate) async fn resolve<A: to::To>(
        self,
        reader: &mut Reader,
        permit: &RobotPermit<A>,
    ) -> Result<PermissionList, Error> {
        let named = self.0.iter().filter_map(|(place, _)| match place {
            Place::Project(name) => Some(name.clone()),
            Place::System | Place::Everywhere => None,
        });
        let named: Vec<ProjectName> = named.collect();
        let mut ids = project::ids_of(reader, &named).await?;
        // No project has such an id: hidden and missing projects take the same steps to the answer.
        let mut absent: Vec<ProjectName> = Vec::new();
        for name in named {
            if !ids.contains_key(&name) {
                ids.insert(name.clone(), ProjectId(-1 - absent.len() as i64));
                absent.push(name);
            }
        }
        let asked = self.0.iter();
        let permissions = asked.map(|(place, access)| permission(place, access, &ids));
        let permissions: Vec<Permission> = permissions.collect::<Result<_, _>>()?;
        let permissions = PermissionList::try_from(permissions)
            .map_err(|invalid| Error::BadRequest(invalid.to_string()))?;
        match absent.first() {
            None => Ok(permissions),
            Some(name) if permit.caller().is_sysadmin() => {
                Err(Error::NotFound(format!("project {name} not found")))
            }
            Some(_) => {
                let is_absent = |permission: &Permission| matches!(permission, Permission::Project(project, ..) if project.0 < 0);
                let lacking = permissions
                    .iter()
                    .filter(|asked| is_absent(asked) || !permit.may_give(**asked));
                Err(tenancy::robot::too_strong(lacking).into())
            }
        }
    }
}

fn place(kind: &str, namespace: &str) -> Result<Place, Error> {
    match (kind, namespace) {
        (SYSTEM, THE_SYSTEM) => Ok(Place::System),
        (SYSTEM, other) => Err(Error::BadRequest(format!(
            "bad request permission: the namespace of kind system is \"/\", not {other:?}"
        ))),
        (PROJECT, ALL_PROJECTS) => Ok(Place::Everywhere),
        (PROJECT, name) => {
            let name = name.parse().map_err(|_| {
                Error::BadRequest(format!(
                    "bad request permission: no project is called {name:?}"
                ))
            })?;
            Ok(Place::Project(name))
        }
        (other, _) => Err(Error::BadRequest(format!(
            "bad request permission: the kind is system or project, not {other:?}"
        ))),
    }
}

fn permission(
    place: &Place,
    access: &Access,
    ids: &HashMap<ProjectName, ProjectId>,
) -> Result<Permission, Error> {
    let resource = access.resource.as_deref().unwrap_or_default();
    let action = access.action.as_deref().unwrap_or_default();
    let effect = access.effect.as_deref().unwrap_or_default();
    if !["", "allow"].contains(&effect) {
        return Err(Error::BadRequest(format!(
            "bad request permission: effect {effect:?}: what is not listed is not allowed anyway"
        )));
    }
    parse(place, resource, action, ids)
        .filter(|permission| permission.is_grantable())
        .ok_or_else(|| Error::BadRequest(format!("bad request permission: {resource}:{action}")))
}

/// `None` for a resource or an action that does not exist.
fn parse(
    place: &Place,
    resource: &str,
    action: &str,
    ids: &HashMap<ProjectName, ProjectId>,
) -> Option<Permission> {
    let action = Action::from_name(action)?;
    Some(match place {
        Place::System => Permission::System(SystemResource::from_name(resource)?, action),
        Place::Everywhere => Permission::Everywhere(Resource::from_name(resource)?, action),
        Place::Project(name) => {
            Permission::Project(*ids.get(name)?, Resource::from_name(resource)?, action)
        }
    })
}

/// Maximum permissions of all robots on a page: those of ten of the largest robots.
const MOST: usize = 100_000;
/// Memory that a permission needs until it is sent, in bytes.
const SIZE: usize = 256;

/// The permissions of some robots as clients see them: always two statements. None is left out, since a client that
/// changes a robot sends all of them back.
///
/// # Errors
/// [`Error::BadRequest`] if they are too many for one answer.
pub(crate) async fn of(
    reader: &mut Reader,
    robots: &[RobotId],
) -> Result<HashMap<RobotId, Vec<RobotPermission>>, Error> {
    let stored = robot::permissions_within(reader, robots, MOST as i64 + 1).await?;
    if stored.len() > MOST {
        return Err(Error::BadRequest(format!(
            "page_size: these robots have more than {MOST} permissions: ask for fewer at a time"
        )));
    }
    let named = stored
        .iter()
        .filter_map(|(_, permission)| match permission {
            Permission::Project(id, ..) => Some(*id),
            Permission::System(..) | Permission::Everywhere(..) => None,
        });
    let named: HashSet<ProjectId> = named.collect();
    let named: Vec<ProjectId> = named.into_iter().collect();
    let names = project::names_of(reader, &named).await?;
    let mut all: HashMap<RobotId, Vec<RobotPermission>> = HashMap::new();
    // The index of a place among a robot's permissions.
    let mut at: HashMap<(RobotId, &str, &str), usize> = HashMap::new();
    for (robot, permission) in stored {
        let (kind, namespace) = match permission {
            Permission::System(..) => (SYSTEM, THE_SYSTEM),
            Permission::Everywhere(..) => (PROJECT, ALL_PROJECTS),
            Permission::Project(id, ..) => match names.get(&id) {
                Some(name) => (PROJECT, name.as_str()),
                None => continue,
            },
        };
        let places = all.entry(robot).or_default();
        let at = *at.entry((robot, kind, namespace)).or_insert(places.len());
        if at == places.len() {
            places.push(RobotPermission {
                access: None,
                kind: Some(kind.to_owned()),
                namespace: Some(namespace.to_owned()),
            });
        }
        places[at].access.get_or_insert_default().push(Access {
            action: Some(permission.action().name().into()),
            effect: Some("allow".into()),
            resource: Some(permission.resource().into()),
        });
    }
    Ok(all)
}
