//! What robots may do: a list of permissions, each an action on a resource of the system, of all projects, or of one.

use std::collections::{HashMap, HashSet};
use std::fmt;

use model::{ProjectId, Timestamp};

use crate::system::SystemResource;
use crate::{Action, Actions, Resource, Role, Roles, table};

/// One permission of a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// On a resource of the system.
    System(SystemResource, Action),
    /// On a resource of every project, including future ones.
    Everywhere(Resource, Action),
    /// On a resource of one project.
    Project(ProjectId, Resource, Action),
}

impl Permission {
    /// The action.
    pub const fn action(self) -> Action {
        match self {
            Self::System(_, action) | Self::Everywhere(_, action) | Self::Project(_, _, action) => {
                action
            }
        }
    }

    /// The resource's name.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::System(resource, _) => resource.name(),
            Self::Everywhere(resource, _) | Self::Project(_, resource, _) => resource.name(),
        }
    }

    /// True if robots can have this permission.
    pub const fn is_grantable(self) -> bool {
        match self {
            Self::System(resource, action) => resource.grantable().contains(action),
            Self::Everywhere(resource, action) | Self::Project(_, resource, action) => {
                resource.grantable().contains(action)
            }
        }
    }
}

/// `repository:pull`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource(), self.action().name())
    }
}

/// A robot's permissions: at least one, each once, in the requested order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionList(Vec<Permission>);

/// Why a list of permissions is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPermissions {
    /// It is empty. The message is Harbor's.
    #[error("bad request empty permission")]
    Empty,
    /// There are too many.
    #[error("permissions: must be at most {MOST}")]
    TooMany,
}

/// Maximum permissions of a robot.
const MOST: usize = 10_000;

impl TryFrom<Vec<Permission>> for PermissionList {
    type Error = InvalidPermissions;

    fn try_from(mut permissions: Vec<Permission>) -> Result<Self, InvalidPermissions> {
        let mut known = HashSet::new();
        permissions.retain(|permission| known.insert(*permission));
        match permissions.len() {
            0 => Err(InvalidPermissions::Empty),
            1..=MOST => Ok(Self(permissions)),
            _ => Err(InvalidPermissions::TooMany),
        }
    }
}

impl std::ops::Deref for PermissionList {
    type Target = [Permission];

    fn deref(&self) -> &[Permission] {
        &self.0
    }
}

/// The first few, for the history.
impl fmt::Display for PermissionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FEW: usize = 20;
        let few: Vec<String> = self.iter().take(FEW).map(Permission::to_string).collect();
        f.write_str(&few.join(" "))?;
        match self.len().saturating_sub(FEW) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Projects in which something is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    Everywhere,
    /// These.
    Projects(Vec<ProjectId>),
}

/// All permissions of a robot or a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    system: HashMap<SystemResource, Actions>,
    everywhere: HashMap<Resource, Actions>,
    projects: HashMap<ProjectId, HashMap<Resource, Actions>>,
    /// Roles, which permit as those of members do.
    roles: HashMap<ProjectId, Roles>,
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut all = Self::default();
        for permission in permissions {
            let actions = match permission {
                Permission::System(resource, _) => all.system.entry(resource).or_default(),
                Permission::Everywhere(resource, _) => all.everywhere.entry(resource).or_default(),
                Permission::Project(project, resource, _) => {
                    let project = all.projects.entry(project).or_default();
                    project.entry(resource).or_default()
                }
            };
            *actions = with_implied(actions.with(permission.action()));
        }
        all
    }
}

/// Push implies pull, because a push reads existing content.
fn with_implied(actions: Actions) -> Actions {
    if actions.contains(Action::Push) {
        actions.with(Action::Pull)
    } else {
        actions
    }
}

impl Permissions {
    /// The actions on a system resource.
    pub fn of_system(&self, resource: SystemResource) -> Actions {
        self.system.get(&resource).copied().unwrap_or_default()
    }

    /// The actions on a resource of a project.
    pub fn in_project(&self, project: ProjectId, resource: Resource) -> Actions {
        let own = self.projects.get(&project);
        let own = own.and_then(|resources| resources.get(&resource));
        let by_roles = self.roles.get(&project).copied().unwrap_or_default();
        self.everywhere(resource)
            | own.copied().unwrap_or_default()
            | table::allowed_to(by_roles, resource)
    }

    /// Adds the permissions of a role in a project.
    pub fn add_role(&mut self, project: ProjectId, role: Role) {
        let roles = self.roles.entry(project).or_default();
        *roles = roles.with(role);
    }

    /// Adds the roles of another set.
    pub fn add_roles_of(&mut self, others: &Self) {
        for (project, roles) in &others.roles {
            for role in roles.iter() {
                self.add_role(*project, role);
            }
        }
    }

    fn everywhere(&self, resource: Resource) -> Actions {
        self.everywhere.get(&resource).copied().unwrap_or_default()
    }

    /// Where it may do an action on a resource.
    pub fn reach(&self, resource: Resource, action: Action) -> Reach {
        if self.everywhere(resource).contains(action) {
            return Reach::Everywhere;
        }
        let mut projects = self.named_projects();
        projects.retain(|project| self.in_project(*project, resource).contains(action));
        Reach::Projects(projects)
    }

    /// Where it may do anything.
    pub fn reach_at_all(&self) -> Reach {
        if !self.everywhere.is_empty() {
            return Reach::Everywhere;
        }
        Reach::Projects(self.named_projects())
    }

    /// The projects that permissions or roles name.
    fn named_projects(&self) -> Vec<ProjectId> {
        let by_role = self
            .roles
            .keys()
            .filter(|project| !self.projects.contains_key(project));
        self.projects.keys().chain(by_role).copied().collect()
    }

    /// True if it has this permission.
    pub fn holds(&self, permission: Permission) -> bool {
        let (held, action) = match permission {
            Permission::System(resource, action) => (self.of_system(resource), action),
            Permission::Everywhere(resource, action) => (self.everywhere(resource), action),
            Permission::Project(project, resource, action) => {
                (self.in_project(project, resource), action)
            }
        };
        held.contains(action)
    }
}

/// The rights of a robot or a workload, and how long they last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRights {
    /// What it may do.
    pub permissions: Permissions,
    /// When it expires; `None` if it does not.
    pub expires_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEAM: ProjectId = ProjectId(1);
    const OTHER: ProjectId = ProjectId(2);

    #[test]
    fn what_is_not_listed_is_not_permitted() {
        let robot: Permissions = [
            Permission::Project(TEAM, Resource::Repository, Action::Pull),
            Permission::Everywhere(Resource::Tag, Action::List),
            Permission::System(SystemResource::User, Action::List),
        ]
        .into_iter()
        .collect();
        let in_team = robot.in_project(TEAM, Resource::Repository);
        assert!(in_team.contains(Action::Pull) && !in_team.contains(Action::Push));
        assert_eq!(robot.in_project(OTHER, Resource::Repository), Actions::NONE);
        assert!(
            robot
                .in_project(OTHER, Resource::Tag)
                .contains(Action::List)
        );
        let users = robot.of_system(SystemResource::User);
        assert!(users.contains(Action::List) && !users.contains(Action::Create));
        assert_eq!(robot.of_system(SystemResource::Project), Actions::NONE);
    }

    #[test]
    fn a_list_has_each_permission_once_and_at_least_one() {
        let pull = Permission::Everywhere(Resource::Repository, Action::Pull);
        let push = Permission::Everywhere(Resource::Repository, Action::Push);
        let list = PermissionList::try_from(vec![push, pull, push]).unwrap();
        assert_eq!(&*list, [push, pull]);
        assert_eq!(list.to_string(), "repository:push repository:pull");
        let empty = PermissionList::try_from(Vec::new());
        assert_eq!(empty, Err(InvalidPermissions::Empty));
        let many = (0..=MOST as i64).map(|id| {
            let project = ProjectId(id);
            Permission::Project(project, Resource::Repository, Action::Pull)
        });
        let many = PermissionList::try_from(many.collect::<Vec<_>>());
        assert_eq!(many, Err(InvalidPermissions::TooMany));
    }

    #[test]
    fn whoever_pushes_may_pull() {
        let push = Permission::Everywhere(Resource::Repository, Action::Push);
        let robot: Permissions = [push].into_iter().collect();
        let held = robot.in_project(TEAM, Resource::Repository);
        assert!(held.contains(Action::Push) && held.contains(Action::Pull));
        assert!(!held.contains(Action::Delete));
    }

    #[test]
    fn the_reach_is_where_the_action_is_permitted() {
        let pull = Permission::Project(TEAM, Resource::Repository, Action::Pull);
        let list = Permission::Project(OTHER, Resource::Tag, Action::List);
        let robot: Permissions = [pull, list].into_iter().collect();
        let reach = robot.reach(Resource::Repository, Action::Pull);
        assert_eq!(reach, Reach::Projects(vec![TEAM]));
        let Reach::Projects(mut at_all) = robot.reach_at_all() else {
            panic!("it is not permitted everywhere");
        };
        at_all.sort();
        assert_eq!(at_all, [TEAM, OTHER]);
    }

    #[test]
    fn roles_give_what_they_give_members_and_add_up() {
        let (mut own, mut more) = (Permissions::default(), Permissions::default());
        own.add_role(TEAM, Role::Guest);
        more.add_role(TEAM, Role::Developer);
        more.add_role(OTHER, Role::LimitedGuest);
        assert!(
            !own.in_project(TEAM, Resource::Repository)
                .contains(Action::Push)
        );
        own.add_roles_of(&more);
        for resource in Resource::ALL {
            let both =
                table::allowed(Role::Guest, *resource) | table::allowed(Role::Developer, *resource);
            assert_eq!(own.in_project(TEAM, *resource), both);
            assert_eq!(own.of_system(SystemResource::Project), Actions::NONE);
        }
        let reach = own.reach(Resource::Repository, Action::Push);
        assert_eq!(reach, Reach::Projects(vec![TEAM]));
        assert!(matches!(own.reach_at_all(), Reach::Projects(all) if all.len() == 2));
    }

    #[test]
    fn robots_are_given_harbors_pairs_alone() {
        let count = |actions: Actions| actions.iter().count();
        let system = SystemResource::ALL.iter();
        let system: usize = system.map(|one| count(one.grantable())).sum();
        let project = Resource::ALL.iter();
        let project: usize = project.map(|one| count(one.grantable())).sum();
        assert_eq!((system, project), (70, 70));
        assert!(!Permission::Everywhere(Resource::Robot, Action::Update).is_grantable());
        assert!(!Permission::System(SystemResource::Robot, Action::Update).is_grantable());
    }
}
