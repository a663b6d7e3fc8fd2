//! Permits on robots. Nobody can give a robot permissions that they lack themselves.

use model::ProjectId;

use crate::permit::{ProjectPermit, SystemPermit};
use crate::to::To;
use crate::{Caller, Permission, on, system};

/// Permission for an action on robots: on those of the system, or on those of a project.
#[derive(Clone, Debug)]
pub enum RobotPermit<A> {
    /// On those of the system.
    System(SystemPermit<(system::Robot, A)>),
    /// On those of a project.
    Project(ProjectPermit<on::Robot, A>),
}

impl<A: To> RobotPermit<A> {
    /// Who holds the permit.
    pub fn caller(&self) -> &Caller {
        match self {
            Self::System(permit) => permit.caller(),
            Self::Project(permit) => permit.caller(),
        }
    }

    /// The project whose robots it is for; `None` for those of the system.
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            Self::System(_) => None,
            Self::Project(permit) => Some(permit.project().id),
        }
    }

    /// True if the holder may give a robot this permission: such a robot can have it, and the holder has it.
    pub fn may_give(&self, permission: Permission) -> bool {
        if !permission.is_grantable() {
            return false;
        }
        let caller = self.caller();
        match (self, permission) {
            (Self::Project(permit), Permission::Project(project, resource, action)) => {
                // Public access does not count: it may be withdrawn, and the robot would keep the permission.
                let held = permit.standing().own(caller, resource);
                project == permit.project().id && held.contains(action)
            }
            (Self::Project(_), _) => false,
            (Self::System(_), _) => {
                let own = caller.authority.own.as_ref();
                caller.is_sysadmin() || own.is_some_and(|own| own.permissions.holds(permission))
            }
        }
    }
}
