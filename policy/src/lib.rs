//! Authorization: roles, the permission table, decisions and permits. No I/O. `auth` identifies callers; `db` stores
//! their bindings.

pub mod action;
pub mod caller;
pub mod on;
pub mod permit;
pub mod robot;
pub mod robot_permit;
pub mod role;
pub mod standing;
pub mod system;
pub mod table;
pub mod to;
pub mod workload;

pub use action::{Action, Actions};
pub use caller::{Authority, Caller, Grant, Grants, Presented};
pub use permit::{
    CatalogPermit, CreateProjectPermit, DeletePermit, NewUserPermit, ProjectCreation,
    ProjectDeletion, ProjectPermit, PullPermit, PushPermit, Refusal, RegisterPermit, SignedIn,
    SystemPermit, UserPermit,
};
pub use robot::{InvalidPermissions, OwnRights, Permission, PermissionList, Permissions, Reach};
pub use robot_permit::RobotPermit;
pub use role::{Role, Roles};
pub use standing::{ProjectFacts, Standing};
pub use system::SystemResource;
pub use table::Resource;
pub use workload::{Workload, WorkloadRule};
